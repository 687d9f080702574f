"""List prices that comparisons of cost rest on: AWS, us-east-1, in US dollars, as of 2025.

They change; the comparisons print them, and hold for the order of magnitude.
"""

from dataclasses import dataclass

HOURS = 730.0
"""In a month."""


@dataclass(frozen=True, slots=True)
class Serverless:
    """AWS Lambda behind an HTTP API."""

    request: float = 0.20e-6 + 1.00e-6
    """Lambda's charge and the HTTP API's, per request."""
    gigabyte_second: float = 1.66667e-5
    gigabytes: float = 0.5
    seconds: float = 0.1
    source: str = "AWS Lambda pricing and Amazon API Gateway pricing (x86, HTTP API)"

    def month(self, requests: float) -> float:
        """Dollars for so many requests."""
        return requests * (self.request + self.gigabyte_second * self.gigabytes * self.seconds)


@dataclass(frozen=True, slots=True)
class Containers:
    """AWS Fargate tasks of 0.25 vCPU and 512 MB behind a load balancer."""

    vcpu_hour: float = 0.04048
    gigabyte_hour: float = 0.004445
    vcpus: float = 0.25
    gigabytes: float = 0.5
    balancer_hour: float = 0.0225
    source: str = "AWS Fargate pricing and Elastic Load Balancing pricing (Linux, x86)"

    def month(self, tasks: int) -> float:
        """Dollars for so many tasks that keep running."""
        task = self.vcpus * self.vcpu_hour + self.gigabytes * self.gigabyte_hour
        return HOURS * (tasks * task + self.balancer_hour)


SERVERLESS = Serverless()
CONTAINERS = Containers()

MONTHLY_USER = 0.015
"""Amazon Cognito, Essentials: per monthly active user beyond the free ones."""
FREE_USERS = 10_000
OBJECT_GIB_MONTH = 0.023
"""Amazon S3 Standard, the first 50 TB."""


def crossover(tasks: int) -> float:
    """Requests a month from which containers that keep running are cheaper."""
    return CONTAINERS.month(tasks) / SERVERLESS.month(1)
