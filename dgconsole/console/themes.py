"""The themes: night, day and contrast, and for terminals of 16 colours or none, two in the terminal's own colours.

Each has calm grounds and one colour for each tone that the views speak of.
"""

from dataclasses import replace

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
            "map-delivered": tones["on_delivered"],
            "map-assigned": tones["on_assigned"],
            "map-retrying": tones["on_retrying"],
            "map-limbo": tones["on_limbo"],
            "cursor": tones["cursor"],
            "cursor-away": tones["away"],
            "chosen": tones["away"] if reverse else tones["cursor"],
            "text-muted": tones["dim"],
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
            **(_what_ansi_lacks(ground, surface, panel, text, tones["dim"]) if ansi else {}),
        },
    )


def _what_ansi_lacks(ground: str, surface: str, panel: str, text: str, dim: str) -> dict[str, str]:
    """Textual leaves these see-through, or in colours of its own, for a theme of the terminal's colours."""
    return {
        "ansi-background": ground,
        "ansi-foreground": text,
        "surface": surface,
        "panel": panel,
        "boost": panel,
        "text-disabled": dim,
        "block-cursor-background": text,
        "block-cursor-foreground": ground,
        "block-hover-background": ground,
        "input-selection-foreground": ground,
    }


NIGHT = _theme(
    "night",
    dark=True,
    ground="#10151c",
    surface="#171e27",
    panel="#1f2833",
    text="#cdd6e0",
    line="#2c3845",
    strong="#eef3f8",
    dim="#919eaa",
    good="#4cc38a",
    busy="#5eb1ff",
    soft="#8b93e8",
    warm="#f0b429",
    hot="#ff6b66",
    key="#56c8d8",
    cursor="#1b3349",
    away="#1c2732",
    bare="#161d26",
    grid="#202a35",
    pending="#465464",
    some="#24463f",
    half="#25594b",
    most="#287a60",
    done="#33a57b",
    on_delivered="#cbbcff",
    on_assigned="#2f86ff",
    on_retrying="#ffd84a",
    on_limbo="#e5302a",
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
    dim="#5d666c",
    good="#166b42",
    busy="#1a5ca9",
    soft="#544fb0",
    warm="#835400",
    hot="#b5221a",
    key="#096274",
    cursor="#d5e7f0",
    away="#ebe8df",
    bare="#f0ede4",
    grid="#dedace",
    pending="#cbcbc7",
    some="#a9d3b5",
    half="#86c09c",
    most="#62ab80",
    done="#3f9c68",
    on_delivered="#7a4ee0",
    on_assigned="#1f5f9c",
    on_retrying="#f0b52e",
    on_limbo="#a80f0a",
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
    done="#43c890",
    on_delivered="#7a6cff",
    on_assigned="#4db8ff",
    on_retrying="#ffe11a",
    on_limbo="#f0281f",
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
    on_delivered="ansi_bright_magenta",
    on_assigned="ansi_bright_cyan",
    on_retrying="ansi_bright_yellow",
    on_limbo="ansi_bright_red",
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
    on_delivered="ansi_magenta",
    on_assigned="ansi_blue",
    on_retrying="ansi_yellow",
    on_limbo="ansi_red",
)

THEMES: tuple[Theme, ...] = (NIGHT, DAY, CONTRAST)
"""In the order in which `t` goes through them."""
FEW_COLORS: tuple[Theme, ...] = (NIGHT_16, DAY_16)
"""The same for a terminal of 16 colours, or none."""

_LEVELS = (0, 95, 135, 175, 215, 255)
_MAPS_256: dict[str, tuple[str, ...]] = {
    "night": ("005f5f", "00875f", "5faf87", "5fd7af", "d7afff", "0087ff", "ffd700", "d70000"),
    "day": ("d7ffd7", "afd7af", "87af87", "00875f", "af5fff", "005faf", "ffaf00", "af0000"),
    "contrast": ("005f5f", "00875f", "5faf87", "5fd7af", "d7afff", "0087ff", "ffff00", "ff0000"),
}
_TONES_256 = {
    "night": {"tone-dim": "#a8a8a8", "tone-soft": "#afafff", "tone-hot": "#ff8787"},
    "day": {"tone-dim": "#4e4e4e", "tone-warm": "#5f5f00", "tone-soft": "#5f00af"},
}
"""Where the nearest colour could not be read on the cursor's line."""
_MAP_PARTS = ("some", "half", "most", "done", "delivered", "assigned", "retrying", "limbo")


def themes_for(color_system: str | None, *, no_color: bool) -> tuple[Theme, ...]:
    """The themes that a terminal can show; ``color_system`` as Rich names it."""
    if no_color or color_system not in ("truecolor", "256"):
        return FEW_COLORS
    return THEMES if color_system == "truecolor" else tuple(map(in_256, THEMES))


def in_256(theme: Theme) -> Theme:
    """The theme in colours that a terminal of 256 has: dark grounds stay grey, where Rich would make them blue."""
    variables = {name: nearest_256(value) if value[:1] == "#" else value for name, value in theme.variables.items()}
    own = {f"map-{part}": f"#{color}" for part, color in zip(_MAP_PARTS, _MAPS_256[theme.name], strict=True)}
    made = replace(theme, name=f"{theme.name}-256", variables=variables | own | _TONES_256.get(theme.name, {}))
    for part in _PARTS:
        setattr(made, part, nearest_256(getattr(theme, part)))
    return made


_PARTS = (
    *("primary", "secondary", "accent", "warning", "error", "success"),
    *("foreground", "background", "surface", "panel"),
)


def nearest_256(color: str) -> str:
    """The colour of xterm's cube and greys nearest to ``#rrggbb``; what follows that (a share) stays."""
    red, green, blue = (int(color[at : at + 2], 16) for at in (1, 3, 5))
    grey = min(max(round(((red + green + blue) / 3 - 8) / 10), 0), 23) * 10 + 8
    cube = tuple(min(_LEVELS, key=lambda level: abs(level - part)) for part in (red, green, blue))
    r, g, b = min(
        cube, (grey, grey, grey), key=lambda c: (c[0] - red) ** 2 + (c[1] - green) ** 2 + (c[2] - blue) ** 2
    )
    return f"#{r:02x}{g:02x}{b:02x}{color[7:]}"


def remembered_as(theme: str) -> str:
    """The word under which a choice is kept: the same whatever the terminal can show."""
    return theme.partition("-")[0]


def nearest(name: str, themes: tuple[Theme, ...]) -> Theme:
    """The theme of that name among these, or what stands in for it."""
    return next((theme for theme in themes if remembered_as(theme.name) == remembered_as(name)), themes[0])
