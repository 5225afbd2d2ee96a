"""The eleven RFM cells: how recently, how often and for how much a customer buys, against the shop's other customers.

Each score is a fifth of the shop's customers, 5 being best (`r_score`, `f_score` and `m_score` of domain/features.py; equal
values have equal scores). Which of the 125 codes is which cell is the published table of eleven segments (the wiki of
Squeezely's RFM app, after Putler). It covers each code exactly once: tests/segments/test_rfm.py holds it to that.
"""

from datetime import datetime

import pandas as pd

from segments.registry import Members, segment


@segment(
    "rfm-champions",
    owner="data-team",
    needs=("rfm",),
    inside=[{"rfm": 555}, {"rfm": 545}, {"rfm": 445}],
    outside=[{"rfm": 543}, {"rfm": 553}, {"rfm": 444}, {"rfm": 435}],
)
def champions(customers: pd.DataFrame, as_of: datetime) -> Members:
    """Bought recently, often and for the most money: reward them, ask them for a word to others.

    Source: the published table of 125 codes, "Champions".
    """
    codes = (555, 554, 544, 545, 454, 455, 445)
    return customers.rfm.isin(codes)


@segment(
    "rfm-loyal",
    owner="data-team",
    needs=("rfm",),
    inside=[{"rfm": 543}, {"rfm": 354}, {"rfm": 335}],
    outside=[{"rfm": 445}, {"rfm": 544}, {"rfm": 343}, {"rfm": 334}],
)
def loyal(customers: pd.DataFrame, as_of: datetime) -> Members:
    """Come back often and spend well, lately too: keep them warm, show them more.

    Source: the published table of 125 codes, "Loyal".
    """
    codes = (543, 444, 435, 355, 354, 345, 344, 335)
    return customers.rfm.isin(codes)


@segment(
    "rfm-potential-loyalists",
    owner="data-team",
    needs=("rfm",),
    inside=[{"rfm": 553}, {"rfm": 431}, {"rfm": 323}],
    outside=[{"rfm": 543}, {"rfm": 523}, {"rfm": 332}, {"rfm": 343}],
)
def potential_loyalists(customers: pd.DataFrame, as_of: datetime) -> Members:
    """Bought lately and more than once, or spent well: make a habit of it.

    Source: the published table of 125 codes, "Potential Loyalist".
    """
    codes = (
        *(553, 551, 552, 541, 542, 533, 532, 531),
        *(452, 451, 442, 441, 431, 453, 433, 432, 423),
        *(353, 352, 351, 342, 341, 333, 323),
    )
    return customers.rfm.isin(codes)


@segment(
    "rfm-new-customers",
    owner="data-team",
    needs=("rfm",),
    inside=[{"rfm": 512}, {"rfm": 421}, {"rfm": 311}],
    outside=[{"rfm": 513}, {"rfm": 521}, {"rfm": 423}, {"rfm": 312}],
)
def new_customers(customers: pd.DataFrame, as_of: datetime) -> Members:
    """Bought lately for the first times and for little: welcome them well.

    Source: the published table of 125 codes, "New Customers".
    """
    codes = (512, 511, 422, 421, 412, 411, 311)
    return customers.rfm.isin(codes)


@segment(
    "rfm-promising",
    owner="data-team",
    needs=("rfm",),
    inside=[{"rfm": 525}, {"rfm": 425}, {"rfm": 313}],
    outside=[{"rfm": 512}, {"rfm": 422}, {"rfm": 533}, {"rfm": 214}],
)
def promising(customers: pd.DataFrame, as_of: datetime) -> Members:
    """Bought lately, seldom, and for good money or nearly so: give them a reason to come again.

    Source: the published table of 125 codes, "Promising".
    """
    codes = (
        *(525, 524, 523, 522, 521, 515, 514, 513),
        *(425, 424, 413, 414, 415),
        *(315, 314, 313),
    )
    return customers.rfm.isin(codes)


@segment(
    "rfm-need-attention",
    owner="data-team",
    needs=("rfm",),
    inside=[{"rfm": 535}, {"rfm": 343}, {"rfm": 324}],
    outside=[{"rfm": 543}, {"rfm": 344}, {"rfm": 433}, {"rfm": 323}],
)
def need_attention(customers: pd.DataFrame, as_of: datetime) -> Members:
    """Above the middle in how often and how much, but begin to stay away: remind them now.

    Source: the published table of 125 codes, "Need Attention".
    """
    codes = (535, 534, 443, 434, 343, 334, 325, 324)
    return customers.rfm.isin(codes)


@segment(
    "rfm-about-to-sleep",
    owner="data-team",
    needs=("rfm",),
    inside=[{"rfm": 331}, {"rfm": 213}, {"rfm": 251}],
    outside=[{"rfm": 332}, {"rfm": 322}, {"rfm": 311}, {"rfm": 214}],
)
def about_to_sleep(customers: pd.DataFrame, as_of: datetime) -> Members:
    """Below the middle in how lately, how often or how much: the last easy moment to wake them.

    Source: the published table of 125 codes, "About To Sleep".
    """
    codes = (331, 321, 312, 221, 213, 231, 241, 251)
    return customers.rfm.isin(codes)


@segment(
    "rfm-at-risk",
    owner="data-team",
    needs=("rfm",),
    inside=[{"rfm": 255}, {"rfm": 224}, {"rfm": 124}],
    outside=[{"rfm": 355}, {"rfm": 154}, {"rfm": 251}, {"rfm": 223}],
)
def at_risk(customers: pd.DataFrame, as_of: datetime) -> Members:
    """Came often or spent well, but long ago: bring them back with something personal.

    Source: the published table of 125 codes, "At Risk".
    """
    codes = (
        *(255, 254, 245, 244, 253, 252, 243, 242, 235, 234, 225, 224),
        *(153, 152, 145, 143, 142, 135, 134, 133, 125, 124),
    )
    return customers.rfm.isin(codes)


@segment(
    "rfm-cannot-lose",
    owner="data-team",
    needs=("rfm",),
    inside=[{"rfm": 155}, {"rfm": 215}, {"rfm": 113}],
    outside=[{"rfm": 145}, {"rfm": 213}, {"rfm": 314}, {"rfm": 112}],
)
def cannot_lose(customers: pd.DataFrame, as_of: datetime) -> Members:
    """Among the best once, and gone the longest, or few orders of much money: win them back in person.

    Source: the published table of 125 codes, "Cannot Lose Them".
    """
    codes = (155, 154, 144, 214, 215, 115, 114, 113)
    return customers.rfm.isin(codes)


@segment(
    "rfm-hibernating",
    owner="data-team",
    needs=("rfm",),
    inside=[{"rfm": 332}, {"rfm": 222}, {"rfm": 211}],
    outside=[{"rfm": 333}, {"rfm": 321}, {"rfm": 221}, {"rfm": 112}],
)
def hibernating(customers: pd.DataFrame, as_of: datetime) -> Members:
    """Long away, few orders, little money: a cheap reminder, no more.

    Source: the published table of 125 codes, "Hibernating".
    """
    codes = (332, 322, 233, 232, 223, 222, 132, 123, 122, 212, 211)
    return customers.rfm.isin(codes)


@segment(
    "rfm-lost",
    owner="data-team",
    needs=("rfm",),
    inside=[{"rfm": 111}, {"rfm": 131}, {"rfm": 151}],
    outside=[{"rfm": 211}, {"rfm": 113}, {"rfm": 122}, {"rfm": 142}],
)
def lost(customers: pd.DataFrame, as_of: datetime) -> Members:
    """Away the longest, with little money: leave them in peace, or try once for the last time.

    Source: the published table of 125 codes, "Lost".
    """
    codes = (111, 112, 121, 131, 141, 151)
    return customers.rfm.isin(codes)
