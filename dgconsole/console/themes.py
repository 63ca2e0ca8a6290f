"""The themes: night, day and contrast, and for terminals of 16 colours or none, two in the terminal's own colours.

Each has calm grounds and one colour for each tone that the views speak of.
"""

from textual.theme import Theme

TONES: tuple[str, ...] = ("dim", "plain", "strong", "good", "busy", "soft", "warm", "hot", "key", "faint")


def _theme(
    name: str,
    *,
    dark: bool,
    ground: str,
    surface: str,
    panel: str,
    text: str,
    line: str,
    ansi: bool = False,
    reverse: bool = False,
    **tones: str,
) -> Theme:
    """``reverse``: the line of the cursor is painted in the text's colour, and its text in the ground's."""
    return Theme(
        name=name,
        primary=tones["key"],
        secondary=tones["busy"],
        accent=tones["key"],
        warning=tones["warm"],
        error=tones["hot"],
        success=tones["good"],
        foreground=text,
        background=ground,
        surface=surface,
        panel=panel,
        dark=dark,
        ansi=ansi,
        variables={
            **{f"tone-{tone}": tones.get(tone, text) for tone in TONES},
            "line": line,
            "tone-faint": line,
            "map-bare": tones["bare"],
            "map-grid": tones["grid"],
            "map-pending": tones["pending"],
            "map-some": tones["some"],
            "map-half": tones["half"],
            "map-most": tones["most"],
            "map-done": tones["done"],
            "cursor": tones["cursor"],
            "cursor-away": tones["away"],
            "cursor-look": "reverse" if reverse else "ground",
            "block-cursor-blurred-background": tones["away"],
            "border": tones["key"],
            "border-blurred": line,
            "scrollbar": line,
            "scrollbar-hover": tones["dim"],
            "scrollbar-active": tones["key"],
            "scrollbar-background": ground,
            "scrollbar-background-hover": ground,
            "scrollbar-background-active": ground,
            "scrollbar-corner-color": ground,
            "input-selection-background": tones["key"] if ansi else f"{tones['key']} 35%",
            **({"input-selection-foreground": ground} if ansi else {}),
        },
    )


NIGHT = _theme(
    "night",
    dark=True,
    ground="#10151c",
    surface="#171e27",
    panel="#1f2833",
    text="#cdd6e0",
    line="#2c3845",
    strong="#eef3f8",
    dim="#75828f",
    good="#4cc38a",
    busy="#5eb1ff",
    soft="#8b93e8",
    warm="#f0b429",
    hot="#ff6b66",
    key="#56c8d8",
    cursor="#23405a",
    away="#1c2732",
    bare="#161d26",
    grid="#202a35",
    pending="#465464",
    some="#2a4a45",
    half="#2d5f53",
    most="#317661",
    done="#389070",
)

DAY = _theme(
    "day",
    dark=False,
    ground="#fbfaf6",
    surface="#f1efe8",
    panel="#e7e4da",
    text="#2a333c",
    line="#cfcabd",
    strong="#0e151b",
    dim="#717a80",
    good="#1b7f4f",
    busy="#1b62b5",
    soft="#5a56b8",
    warm="#9a6300",
    hot="#c5281c",
    key="#0b7285",
    cursor="#cfe3ee",
    away="#ebe8df",
    bare="#f0ede4",
    grid="#dedace",
    pending="#c3c4bf",
    some="#b9d6c1",
    half="#96c6a8",
    most="#72b48d",
    done="#4a9f72",
)

CONTRAST = _theme(
    "contrast",
    dark=True,
    ground="#000000",
    surface="#0c0c0c",
    panel="#161616",
    text="#f4f4f4",
    line="#8c8c8c",
    reverse=True,
    strong="#ffffff",
    dim="#c4c4c4",
    good="#62e5a2",
    busy="#86c5ff",
    soft="#bdbcff",
    warm="#ffcf4a",
    hot="#ff9c94",
    key="#72e6f2",
    cursor="#f4f4f4",
    away="#262626",
    bare="#1a1a1a",
    grid="#3a3a3a",
    pending="#6b7683",
    some="#2c5a52",
    half="#2f7a62",
    most="#369a74",
    done="#43bd8a",
)

NIGHT_16 = _theme(
    "night-16",
    dark=True,
    ansi=True,
    reverse=True,
    ground="ansi_black",
    surface="ansi_black",
    panel="ansi_black",
    text="ansi_bright_white",
    line="ansi_bright_black",
    strong="ansi_bright_white",
    dim="ansi_white",
    good="ansi_bright_green",
    busy="ansi_cyan",
    soft="ansi_bright_magenta",
    warm="ansi_bright_yellow",
    hot="ansi_bright_red",
    key="ansi_bright_cyan",
    cursor="ansi_white",
    away="ansi_black",
    bare="ansi_black",
    grid="ansi_bright_black",
    pending="ansi_blue",
    some="ansi_green",
    half="ansi_green",
    most="ansi_green",
    done="ansi_bright_green",
)

DAY_16 = _theme(
    "day-16",
    dark=False,
    ansi=True,
    reverse=True,
    ground="ansi_bright_white",
    surface="ansi_bright_white",
    panel="ansi_bright_white",
    text="ansi_black",
    line="ansi_white",
    strong="ansi_black",
    dim="ansi_bright_black",
    good="ansi_green",
    busy="ansi_blue",
    soft="ansi_cyan",
    warm="ansi_magenta",
    hot="ansi_red",
    key="ansi_blue",
    cursor="ansi_black",
    away="ansi_bright_white",
    bare="ansi_bright_white",
    grid="ansi_white",
    pending="ansi_bright_black",
    some="ansi_bright_green",
    half="ansi_bright_green",
    most="ansi_bright_green",
    done="ansi_green",
)

THEMES: tuple[Theme, ...] = (NIGHT, DAY, CONTRAST)
"""In the order in which `t` goes through them."""
FEW_COLORS: tuple[Theme, ...] = (NIGHT_16, DAY_16)
"""The same for a terminal of 16 colours, or none."""


def themes_for(color_system: str | None, *, no_color: bool) -> tuple[Theme, ...]:
    """The themes that a terminal can show; ``color_system`` as Rich names it."""
    return THEMES if color_system in ("truecolor", "256") and not no_color else FEW_COLORS


def nearest(name: str, themes: tuple[Theme, ...]) -> Theme:
    """The theme of that name, or the one of these that stands in for it."""
    stand_in = f"{name.removesuffix('-16')}-16" if themes is FEW_COLORS else name.removesuffix("-16")
    return next((theme for theme in themes if theme.name in (name, stand_in)), themes[0])
