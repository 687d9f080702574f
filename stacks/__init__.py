"""The Pulumi programs of an environment on AWS: network, data, cluster, addons.

Each is a function from frozen inputs (and the outputs of the stacks it stands on) to outputs.
`inputs.py` and `versions.py` import nothing of Pulumi; the programs do, so they are imported only
when they are run. Nothing here decides a number: `spec/derive_aws.py` does, and
`spec/reasons_aws.py` says why.
"""
