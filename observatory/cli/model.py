"""observatory model: the models that come by name; fetch one, or list them with where they lie."""

import typer

from observatory.cli.options import JsonOption

app = typer.Typer(
    no_args_is_help=True,
    help="Fetch and list the built-in models.\n\nExample: observatory model list",
)


@app.command()
def pull(name: str = typer.Argument(..., help="A name of `observatory model list`.")) -> None:
    """Fetch a model through pip, check its SHA-256, and keep it in the cache folder.

    pip's own configuration says where packages come from; OBSERVATORY_CACHE says where models are
    kept. A model that is there already is only checked.

    Example: observatory model pull smollm2-135m-instruct-q4_1
    """
    from observatory.endpoints import models

    path = models.pull(name, lambda text: typer.echo(text, err=True))
    typer.echo(path)


@app.command("list")
def list_models(json_output: JsonOption = False) -> None:
    """List the models with size, licence, and where each lies or would lie.

    Example: observatory model list --json
    """
    import msgspec

    from observatory.endpoints import models

    rows = [
        {
            "name": name,
            "title": model.title,
            "bytes": model.size_bytes,
            "download_bytes": model.wheel_bytes,
            "license": model.license,
            "sha256": model.sha256,
            "fetched": models.model_path(name).is_file(),
            "path": str(models.model_path(name)),
        }
        for name, model in models.MODELS.items()
    ]
    if json_output:
        typer.echo(msgspec.json.format(msgspec.json.encode(rows)).decode())
        return
    for row in rows:
        state = (
            "fetched" if row["fetched"] else f"not fetched: observatory model pull {row['name']}"
        )
        typer.echo(f"{row['name']}  ({row['title']})")
        typer.echo(f"  {int(str(row['bytes'])) / 1e6:.0f} MB, {row['license']}, {state}")
        typer.echo(f"  {row['path']}")
