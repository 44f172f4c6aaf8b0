"""What a target that is given by its address alone is called, and that one address is given."""

from observatory.core.errors import BadInput
from observatory.core.workspace import Workspace


def one_url(urls: list[str] | None) -> str | None:
    """Return the one --url; BadInput where there are more, because none may be dropped unseen."""
    if urls is not None and len(urls) > 1:
        raise BadInput(
            f"{len(urls)} addresses were given, and a run measures one",
            where="--url",
            fix="name the endpoints in scenarios/targets.yaml and pass --target for each",
        )
    return urls[0] if urls else None


def unused_name(
    workspace: Workspace, url: str, model: str | None, *, list_models: bool = True
) -> str:
    """Return the model's name, with four digits of the address where another address has it.

    ask: where no model is given, request the endpoint's list of models.
    """
    from observatory.endpoints.url import UNNAMED, ad_hoc_target, name_of_model, url_connection
    from observatory.store.folder.target_addresses import NAME_DIGITS, address_hash, name_for

    target = ad_hoc_target(url, model)
    if model is None and list_models:
        from observatory.endpoints.quick_listing import quick_models

        listed = quick_models(url_connection(target)) or {}
        model = next(iter(listed)) if len(listed) == 1 else None
    if model is None:
        return f"{UNNAMED}-{address_hash(workspace, url)[:NAME_DIGITS]}"
    return name_for(workspace, name_of_model(model), url)
