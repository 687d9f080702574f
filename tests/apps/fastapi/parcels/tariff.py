from pydantic import BaseModel


class Zone(BaseModel):
    code: str
    base_cents: int
    cents_per_kilogram: int
    days: int


ZONES = {
    zone.code: zone
    for zone in (
        Zone(code="city", base_cents=390, cents_per_kilogram=40, days=1),
        Zone(code="country", base_cents=490, cents_per_kilogram=60, days=2),
        Zone(code="continent", base_cents=1190, cents_per_kilogram=210, days=4),
        Zone(code="world", base_cents=2490, cents_per_kilogram=690, days=9),
    )
}


def price(zone: Zone, kilograms: float) -> int:
    return zone.base_cents + round(zone.cents_per_kilogram * kilograms)


def all_zones() -> list[Zone]:
    return list(ZONES.values())
