"""What every program begins with: its provider, and the component its resources stand under."""

from collections.abc import Sequence

import pulumi
import pulumi_aws as aws

from backendctl.shipped.stacks.inputs import Place


class Scope:
    """One stack's provider and component, and the options of its resources."""

    def __init__(self, stack: str, place: Place) -> None:
        self._place = place
        self.provider = aws.Provider(
            "aws", region=place.region, allowed_account_ids=[place.account]
        )
        self.component = pulumi.ComponentResource(
            f"backendctl:stack:{stack.capitalize()}",
            place.name,
            None,
            pulumi.ResourceOptions(providers=[self.provider]),
        )

    def options(self, after: Sequence[pulumi.Resource] = ()) -> pulumi.ResourceOptions:
        """Of a resource that can be made again."""
        return pulumi.ResourceOptions(
            parent=self.component, provider=self.provider, depends_on=list(after) or None
        )

    def holds_data(self, after: Sequence[pulumi.Resource] = ()) -> pulumi.ResourceOptions:
        """Of a resource whose loss is a loss of data: the engine refuses to delete it."""
        return pulumi.ResourceOptions.merge(
            self.options(after), pulumi.ResourceOptions(protect=not self._place.releasing)
        )

    def outlives(self) -> pulumi.ResourceOptions:
        """Of a key: it stays even when everything else is destroyed, because the final snapshots
        are readable with it only."""
        return pulumi.ResourceOptions.merge(
            self.holds_data(), pulumi.ResourceOptions(retain_on_delete=True)
        )

    def invoke(self) -> pulumi.InvokeOptions:
        """Of a question to AWS."""
        return pulumi.InvokeOptions(provider=self.provider)
