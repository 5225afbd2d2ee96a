"""What Postmark calls a bounce, in our words, as one speaker beside the code and the text. Source: "Bounce API", types."""

from domain import bounces
from domain.bounces import AWAY, BLOCKED, CONTENT, GONE, TRANSIENT, UNKNOWN, Verdict

TYPES = {
    "HardBounce": GONE,
    "BadEmailAddress": GONE,
    "SoftBounce": AWAY,
    "Transient": TRANSIENT,
    "DnsError": TRANSIENT,
    "Blocked": BLOCKED,
    "SpamNotification": BLOCKED,
    "DMARCPolicy": BLOCKED,
    "ChallengeVerification": BLOCKED,
    "VirusNotification": CONTENT,
}


def classify(word: str, text: str) -> Verdict:
    """Judge a bounce by all that is said of it. What Postmark does not call hard is not hard."""
    verdict = bounces.agreed((TYPES.get(word), *bounces.speakers(status="", text=text))) or UNKNOWN
    return AWAY if verdict == GONE and TYPES.get(word) != GONE else verdict
