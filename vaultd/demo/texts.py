"""Made-up sentences in many scripts, and small pictures, for the demo pod."""

from __future__ import annotations

import random
import struct
import zlib
from typing import Final

SENTENCES: Final = (
    "The tram was late again, so I walked along the canal and counted herons.",
    "Who else is growing tomatoes on a balcony? Mine have opinions. #garden",
    "Reminder: our podmin does this in their free time. Say **thank you** now and then!",
    "Heute Morgen lag Nebel über dem Fluss, und die Brücke endete im Nichts. #foto",
    "Wer hat Lust auf eine Radtour am Samstag? Ich bringe Kuchen mit.",
    "Ce soir, soupe à l'oignon et un vieux film. Que demander de plus ? #cuisine",
    "Le chat a décidé que le clavier lui appartient : ffffffffff.",
    "Mañana toca ensayo; si alguien tiene un contrabajo de sobra, que avise. #musica",
    "Ho finalmente riparato la bicicletta della nonna. Cigola ancora, ma con orgoglio.",
    "Dziś pierwszy śnieg, a ja wciąż mam kwitnące pelargonie na oknie.",
    "Сегодня гуляли в лесу и нашли гриб размером с зонтик. #лес",
    "Σήμερα το πρωί η θάλασσα ήταν σαν καθρέφτης.",
    "今日は庭で焼き芋をした。煙が隣まで届いて怒られた。 #秋",
    "早上的市场很热闹，我只想买一把葱，结果带回来三个西瓜。",
    "비 오는 날에는 역시 파전이지. 🌧️",
    "اليوم تعلّمت كيف أخبز الخبز، والمطبخ كلّه طحين. #خبز",
    "הגשם הראשון! כל השכונה יצאה למרפסות.",
    "आज चाय थोड़ी ज़्यादा मीठी हो गई, पर बातें अच्छी थीं।",
    "Bugün eski mektupları buldum; hâlâ lavanta kokuyorlar.",
    "👩🏽‍🚀 🪁 🐌 … that is my whole week in three pictures. 🏳️‍🌈",
    "Zażółć gęślą jaźń, and e\u0301 is not é until it is.",
    "> Nothing is lost.\n\nI read that on a wall today, under a *dripping* gutter.",
    "A list of things I will not do this weekend:\n\n* tidy the cellar\n* answer `root@` mail\n* panic",
    "<b>This is not bold</b> & that is \"fine\" <script>alert('hello')</script>",
    "See https://example.org/notes?x=1&y=2 or [this page](https://example.org/a_(b)).",
)
TAGS: Final = (
    "garden",
    "foto",
    "cuisine",
    "musica",
    "лес",
    "秋",
    "خبز",
    "linux",
    "diaspora",
    "cats",
)
REPLIES: Final = (
    "Oh yes!", "Same here :-)", "Das kenne ich gut.", "Trop bien !", "¡Qué bonito!", "へえ、すごい！",
    "Согласна на сто процентов.", "شكرا لك", "תודה רבה", "I would like the recipe, please.", "❤️",
    "Tell us more about the heron.", "Not sure I agree, but nicely said.",
)  # fmt: skip
NAMES: Final = (
    ("Ada", "Lindqvist"), ("Bruno", "Keller"), ("Chiara", "Bonetti"), ("Dmitri", "Sokolow"),
    ("Élodie", "Marchand"), ("Farid", "حداد"), ("Gesa", "Petersen"), ("Hana", "山口"),
    ("Ines", "Álvarez"), ("Jonas", "Meier"), ("Kwame", "Asante"), ("Leyla", "Yıldız"),
    ("Mirko", "Novak"), ("Noa", "לוי"), ("Oluwaseun", "Adé"), ("Paula", "Quist"),
    ("Quentin", "Roux"), ("Rosa", "Ferreira"), ("Sunil", "शर्मा"), ("Tove", "Ås"),
    ("Ulli", "Brandt"), ("Vera", "Иванова"), ("Wen", "王"), ("Xenia", "Παππά"), ("Yusuf", "Demir"),
    ("Zofia", "Wójcik"),
)  # fmt: skip


def long_text(rng: random.Random) -> str:
    """Return a post of about 24,000 characters."""
    return "\n\n".join(rng.choice(SENTENCES) for _ in range(330))


def picture(rng: random.Random, width: int = 480, height: int = 320) -> bytes:
    """Return a PNG: a sky and a hill in random colours."""
    top, low = ([rng.randrange(60, 256) for _ in range(3)] for _ in range(2))
    hill = [rng.randrange(20, 140) for _ in range(3)]
    rows = bytearray()
    slope, base = rng.uniform(-0.4, 0.4), height * rng.uniform(0.5, 0.8)
    for y in range(height):
        share = y / height
        sky = bytes(int(a + (b - a) * share) for a, b in zip(top, low, strict=True))
        edge = max(0, min(width, int((y - base) / slope + width / 2) if slope else 0))
        ground = bytes(hill)
        inside = edge if y > base else 0
        rows += b"\0" + ground * inside + sky * (width - inside)

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    packed = zlib.compress(bytes(rows), 6)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")
    )
