"""Two themes, night and day: calm grounds, and one colour for each tone that the views speak of."""

from textual.theme import Theme

TONES: tuple[str, ...] = ("dim", "plain", "strong", "good", "busy", "soft", "warm", "hot", "key", "faint")


def _theme(
    name: str, *, dark: bool, ground: str, surface: str, panel: str, text: str, line: str, **tones: str
) -> Theme:
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
            "input-selection-background": f"{tones['key']} 35%",
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

THEMES: tuple[Theme, ...] = (NIGHT, DAY)
