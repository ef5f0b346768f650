"""`dynamo2ch warm`: for whoever builds an image. Hidden from people who load tables."""

from __future__ import annotations

from typing import Annotated

import typer

from transformer.cli import options
from transformer.cli.render import show
from transformer.errors import ExitCode


def warm(
    check: Annotated[
        bool, typer.Option("--check", help="Exit with 5 when a kernel had to be compiled, for the test of an image.")
    ] = False,
    as_json: options.Json = False,
) -> None:
    """Compile every kernel into the cache that NUMBA_CACHE_DIR names, and tell how many were there already."""
    from transformer.decode.warm import warm as run

    found = run()
    show(
        found.to_dict(),
        lambda: (
            f"{found.kernels} kernels for {found.cpu}: {found.hits} from {found.cache or 'no cache'}, "
            f"{found.misses} compiled, {found.seconds:.1f} s"
        ),
        as_json=as_json,
    )
    if check and found.misses:
        raise typer.Exit(ExitCode.CONFLICT)
