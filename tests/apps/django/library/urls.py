from django.urls import include, path

from books import views

urlpatterns = [
    path("healthz", views.healthz),
    path("api/", include("books.urls")),
]
