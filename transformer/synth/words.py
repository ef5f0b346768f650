"""Words that the generators put together: plain lists, so that the data can be read by people."""

from __future__ import annotations

FIRST_NAMES = (
    "sally", "james", "mary", "robert", "patricia", "john", "jennifer", "michael", "linda", "david",
    "elizabeth", "william", "barbara", "richard", "susan", "joseph", "jessica", "thomas", "karen", "charles",
    "sarah", "daniel", "nancy", "matthew", "lisa", "anthony", "betty", "mark", "margaret", "steven", "sandra",
    "paul", "ashley", "andrew", "kimberly", "joshua", "emily", "kenneth", "donna", "kevin", "michelle", "brian",
    "carol", "george", "amanda", "edward", "dorothy", "ronald", "melissa", "timothy", "deborah", "jason",
    "stephanie", "jeffrey", "rebecca", "ryan", "sharon", "jacob", "laura", "gary", "cynthia", "josé", "zoë",
    "björn", "françoise", "łukasz", "siobhán", "ngọc",
)  # fmt: skip

LAST_NAMES = (
    "Smith", "Jones", "Taylor", "Brown", "Williams", "Wilson", "Johnson", "Davies", "Patel", "Robinson",
    "Wright", "Thompson", "Evans", "Walker", "White", "Roberts", "Green", "Hall", "Wood", "Jackson", "Clarke",
    "Müller", "García", "Nguyễn", "O'Brien", "Kowalski", "Rossi", "Dubois", "Silva", "Jensen", "Novák",
    "Yılmaz",
)  # fmt: skip

CITIES = (
    "London", "Zürich", "Paris", "Berlin", "Madrid", "Lisboa", "Roma", "Wien", "Praha", "Warszawa", "København",
    "Stockholm", "Oslo", "Helsinki", "Dublin", "Bruxelles", "Amsterdam", "Luxembourg", "Budapest", "Athína",
    "New York", "Los Angeles", "Chicago", "Houston", "São Paulo", "Bogotá", "Lima", "Santiago", "Tokyo",
    "Osaka", "Seoul", "Sydney", "Melbourne", "Auckland", "Mumbai", "Delhi", "Nairobi", "Lagos", "Cairo",
    "Cape Town",
)  # fmt: skip

WORDS = (
    "amber", "anchor", "apple", "arrow", "atlas", "autumn", "badge", "basil", "beacon", "birch", "blanket",
    "bottle", "bridge", "bronze", "button", "cable", "camera", "candle", "canvas", "carbon", "cedar", "chair",
    "cinder", "circle", "clover", "cobalt", "copper", "coral", "cotton", "crystal", "curtain", "dagger",
    "daisy", "delta", "denim", "diesel", "drawer", "ebony", "echo", "ember", "engine", "fabric", "falcon",
    "feather", "fern", "fiddle", "filter", "flint", "forest", "frame", "garden", "garnet", "ginger", "glacier",
    "granite", "guitar", "hammer", "harbor", "hazel", "helmet", "hinge", "indigo", "island", "ivory", "jacket",
    "jasmine", "kettle", "ladder", "lantern", "lemon", "linen", "magnet", "maple", "marble", "meadow", "mirror",
    "needle", "nickel", "olive", "onyx", "orchid", "paddle", "pepper", "pillow", "planet", "pocket", "quartz",
    "quilt", "raven", "ribbon", "river", "rubber", "saddle", "sapphire", "silver", "socket", "spruce", "table",
    "thunder", "timber", "tulip", "valley", "velvet", "violet", "walnut", "willow", "window", "winter",
    "yellow", "zephyr",
)  # fmt: skip
