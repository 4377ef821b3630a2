"""FastAPI behind Mangum: the same application behind an HTTP API and a function URL."""

from typing import Annotated

from fastapi import Cookie, FastAPI, HTTPException, Query, Response, UploadFile
from mangum import Mangum
from pydantic import BaseModel

app = FastAPI()


class Note(BaseModel):
    title: str
    stars: int = 0


@app.post("/web/notes", status_code=201)
async def make(note: Note, response: Response, seen: str = Cookie(default="")) -> Note:
    response.set_cookie("seen", f"{seen}x")
    response.set_cookie("last", note.title)
    return note


@app.get("/web/notes/{name}")
async def show(name: str, tag: Annotated[list[str] | None, Query()] = None) -> dict[str, object]:
    if name == "none":
        raise HTTPException(404, "no such note")
    return {"name": name, "tag": tag}


@app.get("/web/picture")
async def picture() -> Response:
    return Response(bytes(range(256)), media_type="image/png")


@app.post("/web/files")
async def files(file: UploadFile) -> dict[str, object]:
    content = await file.read()
    return {"name": file.filename, "bytes": len(content), "sum": sum(content)}


handler = Mangum(app, lifespan="off")
