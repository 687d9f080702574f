from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field

from parcels.tariff import ZONES, price

router = APIRouter(prefix="/quotes", tags=["quotes"])


class Parcel(BaseModel):
    zone: Literal["city", "country", "continent", "world"]
    kilograms: float = Field(gt=0, le=31.5, examples=[2.5])


class Quote(BaseModel):
    cents: int
    days: int


@router.post("")
async def make_quote(parcel: Parcel) -> Quote:
    zone = ZONES[parcel.zone]
    return Quote(cents=price(zone, parcel.kilograms), days=zone.days)
