from fastapi import APIRouter, HTTPException

from parcels.tariff import ZONES, Zone, all_zones

router = APIRouter(prefix="/zones", tags=["zones"])


@router.get("")
async def list_zones() -> list[Zone]:
    return all_zones()


@router.get("/{code}", responses={404: {"description": "No such zone"}})
async def get_zone(code: str) -> Zone:
    if code not in ZONES:
        raise HTTPException(404, "no such zone")
    return ZONES[code]
