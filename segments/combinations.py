"""Segments made of others, by name: what marketers ask for most, in the words they ask with."""

from segments.registry import combined

combined(
    "vip-at-risk",
    owner="data-team",
    rule="vip and off-rhythm(times=1.5) and not lapsed-by-rhythm",
    description="Among the top tenth by money, and silent for half as long again as usual for them: call before they go.",
)
combined(
    "win-back-vip",
    owner="data-team",
    rule="vip and lapsed-by-rhythm",
    description="Among the top tenth by money, and silent for over three times as long as usual for them: win them back.",
)
combined(
    "win-back",
    owner="data-team",
    rule="off-rhythm and not long-lost and not high-refunders",
    description="Silent for over twice as long as usual for them, but not for good yet, and no frequent refunds: win back.",
)
combined(
    "vip-never-engaged",
    owner="data-team",
    rule="vip and never-engaged",
    description="Among the top tenth by money, but never opened our mail: reach them by post or phone instead.",
)
combined(
    "full-price-vip",
    owner="data-team",
    rule="(vip or vip-by-frequency) and full-price-buyers",
    description="Among the best by money or by orders, and never with a discount: new things first, no vouchers.",
)
combined(
    "safe-for-offers",
    owner="data-team",
    rule="repeat-customers and not (high-refunders or frequent-cancellers or discount-only-buyers)",
    description="Come back, keep what they buy, and sometimes pay the full price: an offer is well spent on them.",
)
combined(
    "ask-for-a-review",
    owner="data-team",
    rule="content-customers and engaged(days=90)",
    description="Ordered lately and kept everything, and open our mail: ask them for a review.",
)
combined(
    "rfm-best",
    owner="data-team",
    rule="rfm-champions or rfm-loyal",
    description="The two best RFM cells together, Champions and Loyal: early access, thanks, referrals.",
)
combined(
    "rfm-slipping",
    owner="data-team",
    rule="rfm-need-attention or rfm-about-to-sleep or rfm-at-risk or rfm-cannot-lose",
    description="The four RFM cells that slip away and may still be held: reminders with something in them.",
)
combined(
    "sunset-for-good",
    owner="data-team",
    rule="unengaged(days=365, mails=3) and not vip",
    description="Mailed, but neither opened, clicked nor ordered for a year, and no VIP: say goodbye and stop.",
)
