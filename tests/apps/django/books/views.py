import json

from django.db import connection
from django.http import HttpResponse, JsonResponse
from django.views.decorators.http import require_http_methods, require_safe

from books.models import Book


@require_safe
def healthz(request):
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return HttpResponse("ok")


@require_http_methods(["GET", "POST"])
def books(request):
    if request.method == "POST":
        return add_book(request)
    return JsonResponse({"books": [book.as_dict() for book in Book.objects.all()[:20]]})


@require_safe
def book(request, book_id):
    found = Book.objects.filter(pk=book_id).first()
    if found is None:
        return JsonResponse({"error": "no such book"}, status=404)
    return JsonResponse(found.as_dict())


def add_book(request):
    try:
        body = json.loads(request.body)
        title, author = str(body["title"])[:200], str(body["author"])[:200]
    except (ValueError, KeyError, TypeError):
        return JsonResponse({"error": "title and author are needed"}, status=400)
    added = Book.objects.create(title=title, author=author)
    return JsonResponse(added.as_dict(), status=201)
