"""Container images: of services, and of backendctl itself."""
