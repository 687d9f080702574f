"""Releases on any Kubernetes cluster of a kubeconfig, behind the seam of `platforms/base/`."""
