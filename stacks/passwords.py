"""Passwords that AWS makes and keeps: neither a program nor Pulumi's state ever sees one.

The provider's own resources could only be given a password that is then in the state; inside
CloudFormation it goes from its maker to Secrets Manager, and from there to who checks it.
"""

import json
from collections.abc import Mapping
from typing import Any

import pulumi_aws as aws

from backendctl.shipped.stacks.site import Site

RESOLVED = "{{resolve:secretsmanager:${Secret}:SecretString:password}}"
"""In a template (`Fn::Sub`): where another of its resources is given the password."""
NOTHING: Mapping[str, Any] = {}


def made(
    site: Site,
    part: str,
    user: str,
    resources: Mapping[str, Any] = NOTHING,
    outputs: Mapping[str, Any] = NOTHING,
) -> Any:
    """A secret `NAME/PART` with `username` and `password`, and the template's further resources.

    Returns the CloudFormation stack; its output `SecretArn` names the secret. Nobody changes the
    password but who does so on purpose; it stays where what it opens is kept.
    """
    secret = {
        "Type": "AWS::SecretsManager::Secret",
        "Properties": {
            "Name": f"{site.place.name}/{part}",
            "KmsKeyId": {"Ref": "Key"},
            "GenerateSecretString": {
                "SecretStringTemplate": json.dumps({"username": user}),
                "GenerateStringKey": "password",
                "PasswordLength": 48,
                "ExcludePunctuation": True,
            },
        },
    }
    template = {
        "Parameters": {"Key": {"Type": "String"}},
        "Resources": {"Secret": secret, **resources},
        "Outputs": {"SecretArn": {"Value": {"Ref": "Secret"}}, **outputs},
    }
    return aws.cloudformation.Stack(
        f"{part}-access",
        name=f"{site.place.name}-{part}-access",
        template_body=json.dumps(template),
        parameters={"Key": site.key.arn},
        tags=site.place.tagged(f"{part}-access"),
        opts=site.scope.holds_data(),
    )
