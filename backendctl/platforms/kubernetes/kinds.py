"""Where each kind of object is found in the API."""

from dataclasses import dataclass

GATEWAY_API = "gateway.networking.k8s.io"


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of object."""

    group: str
    """With its version, as `apiVersion` says it."""
    plural: str
    namespaced: bool = True

    @property
    def root(self) -> str:
        """The path of its group: the core group has one of its own."""
        return f"/api/{self.group}" if self.group == "v1" else f"/apis/{self.group}"


KINDS = {
    "ConfigMap": Kind("v1", "configmaps"),
    "Endpoints": Kind("v1", "endpoints"),
    "Event": Kind("v1", "events"),
    "LimitRange": Kind("v1", "limitranges"),
    "Namespace": Kind("v1", "namespaces", namespaced=False),
    "Node": Kind("v1", "nodes", namespaced=False),
    "Pod": Kind("v1", "pods"),
    "ResourceQuota": Kind("v1", "resourcequotas"),
    "Secret": Kind("v1", "secrets"),
    "Service": Kind("v1", "services"),
    "ServiceAccount": Kind("v1", "serviceaccounts"),
    "Deployment": Kind("apps/v1", "deployments"),
    "ReplicaSet": Kind("apps/v1", "replicasets"),
    "StatefulSet": Kind("apps/v1", "statefulsets"),
    "Job": Kind("batch/v1", "jobs"),
    "PodDisruptionBudget": Kind("policy/v1", "poddisruptionbudgets"),
    "HorizontalPodAutoscaler": Kind("autoscaling/v2", "horizontalpodautoscalers"),
    "Lease": Kind("coordination.k8s.io/v1", "leases"),
    "EndpointSlice": Kind("discovery.k8s.io/v1", "endpointslices"),
    "NetworkPolicy": Kind("networking.k8s.io/v1", "networkpolicies"),
    "Role": Kind("rbac.authorization.k8s.io/v1", "roles"),
    "RoleBinding": Kind("rbac.authorization.k8s.io/v1", "rolebindings"),
    "ClusterRole": Kind("rbac.authorization.k8s.io/v1", "clusterroles", namespaced=False),
    "ClusterRoleBinding": Kind(
        "rbac.authorization.k8s.io/v1", "clusterrolebindings", namespaced=False
    ),
    "SelfSubjectAccessReview": Kind(
        "authorization.k8s.io/v1", "selfsubjectaccessreviews", namespaced=False
    ),
    "SelfSubjectReview": Kind("authentication.k8s.io/v1", "selfsubjectreviews", namespaced=False),
    "CustomResourceDefinition": Kind(
        "apiextensions.k8s.io/v1", "customresourcedefinitions", namespaced=False
    ),
    "GatewayClass": Kind(f"{GATEWAY_API}/v1", "gatewayclasses", namespaced=False),
    "Gateway": Kind(f"{GATEWAY_API}/v1", "gateways"),
    "HTTPRoute": Kind(f"{GATEWAY_API}/v1", "httproutes"),
}
"""By the name of the kind."""
