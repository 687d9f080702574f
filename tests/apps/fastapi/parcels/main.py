from fastapi import FastAPI

from parcels.routers import quotes, zones

app = FastAPI(title="Parcels", version="1.4.0")
app.include_router(zones.router, prefix="/api")
app.include_router(quotes.router, prefix="/api")


@app.get("/health", include_in_schema=False)
async def health() -> dict[str, str]:
    return {"status": "ok"}
