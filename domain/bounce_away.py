"""The part of domain/bounce_table.py that blames the person without ending mail: full, disabled, a domain not found.

A recipient's own rules stand above all that names the sender, whom they name too ("sender not authenticated"). Full
stands above what is said of content (both name sizes), the rest below what is said of networks and systems.
"""

from domain import bounce_sources as sources
from domain.bounce_causes import Cause
from domain.bounce_rows import Row, row

# fmt: off
OWN_RULES: tuple[Row, ...] = (  # what Exchange says of sizes and quotas by the same name is not among them
    row("restricted-microsoft", Cause.RESTRICTED, sources.MICROSOFT, "allowed-senders", "not authenticated",
        "wasnt authenticated", "authentication required", "not authorized", "not authorised", "not allowed",
        "permission", "restrict", "resolver.rst.", codes="5.7.124 5.7.129 5.7.133 5.7.134 5.7.135 5.7.136"),
    row("restricted-exchange", Cause.RESTRICTED, sources.EXCHANGE, "resolver.rst.auth", "resolver.rst.notauth",
        "resolver.rst.sendernot", "resolver.rst.restrict"),
)
OWN_LIMITS: tuple[Row, ...] = (  # of one mailbox, from whomever it gets its mail; above the rates, which are ours
    row("limit-gmail", Cause.RESTRICTED, sources.GOOGLE, "is receiving mail at a rate", "is receiving mail too quickly",
        "receiving mail at a rate that"),
)
FULL: tuple[Row, ...] = (
    row("full-gmail", Cause.FULL_MAILBOX, sources.GOOGLE, "over quota", "out of storage", "overquota", "over-quota"),
    row("full-apple", Cause.FULL_MAILBOX, sources.APPLE, "user is over", "exceeded storage", "storage allocation"),
    row("full-quota", Cause.FULL_MAILBOX, sources.POSTFIX, "quota exceed", "exceeded * quota", "exceeds * quota",
        "exceed * quota", "exceeding * quota", "quota full", "quota is full", "disk quota", "quota limit",
        "mailbox quota", "storage quota", "over disk", "quota has been", "out of quota", "maildir over",
        "over the maximum", "over its quota", "over the quota", "user quota", "quota violation", "reached its quota",
        "not enough * quota", "diskspace quota", "overdrawn"),
    row("full-exchange", Cause.FULL_MAILBOX, sources.EXCHANGE, "quotaexceeded", "resolver.rst.recipsizelimit quota"),
    row("full", Cause.FULL_MAILBOX, sources.WORDS, "mailbox full", "mailbox is full", "mailbox * full", "inbox full",
        "inbox is full", "mbox full", "full mailbox", "account is full", "account full", "user is full",
        "storage full", "recipient * full", "is full ", "mailbox has exceeded", "mailbox size limit", "mailbox space",
        "storage space", "no space left in", "insufficient storage", "not enough storage", "not enough space",
        "maximum mailbox size", "mailbox exceeds", "exceeded mailbox", "exceeded the space limit", "mail box full",
        "mail box is full", "file too large", "space has been used up", "mailfolder is full", "storage limit"),
    row("full-languages", Cause.FULL_MAILBOX, sources.LANGUAGES, "postfach * voll", "postfach ist voll",
        "speicherplatz", "boite * pleine", "boîte * pleine", "destinataire pleine", "quota dépassé", "quota depasse",
        "espace * insuffisant", "buzón * lleno", "buzon * lleno", "cuota", "casella * piena", "caixa * cheia",
        "espaço", "容量", "已满", "いっぱい", "переполнен", "plná", "preplnen", "speichervolumen"),
)
AWAY: tuple[Row, ...] = (
    row("host-unknown", Cause.UNKNOWN_HOST, sources.SENDMAIL, "host unknown", "unknown host", "host not found",
        "host does not exist", "host name lookup", "hostname lookup", "name server", "nameserver", "name service",
        "bad domain", "bad host", "illegal host", "no such host", "host or domain name not found",
        "name or service not known"),
    row("domain-unknown", Cause.UNKNOWN_HOST, sources.POSTFIX, "domain not found", "domain name not found",
        "domain does not exist", "domain doesnt exist", "domain * does not exist", "domain * not exist",
        "no such domain", "unknown domain", "domain unknown", "invalid domain", "domain invalid", "nxdomain", "no mx ",
        "mx record", "mx lookup", "mx host", "unrouteable", "unroutable", "not routable", "no route", "dead domain",
        "dns error", "dns lookup", "dns failure", "dns domain", "no dns", "no a record", "not resolve",
        "failed to resolve", "mail exchange", "mx server", "couldnt find any host", "couldnt be found by",
        "address resolution", "host lookup", "parked domain", "domain must exist", "domain * is unknown",
        "destination computer", "dns query"),
    row("domain-languages", Cause.UNKNOWN_HOST, sources.LANGUAGES, "host unbekannt", "domain unbekannt", "domäne",
        "domaine", "hôte inconnu", "dominio", "domínio", "домен", "域名", "ドメイン"),
    row("disabled-gmail", Cause.DISABLED_MAILBOX, sources.GOOGLE, "tried to reach is disabled",
        "tried to reach is inactive"),
    row("disabled-yahoo", Cause.DISABLED_MAILBOX, sources.YAHOO, "disabled or discontinued", "mailbox is disabled"),
    row("disabled-qq", Cause.DISABLED_MAILBOX, sources.TENCENT, "deactivated mailbox", "user suspended",
        "recipient suspend", "suspend the service", "停用", "冻结", "禁用"),
    row("disabled-zoho", Cause.DISABLED_MAILBOX, sources.ZOHO, "user inactive", "account inactive",
        "mailbox inactive", "inbounds disabled", "account disabled"),
    row("disabled", Cause.DISABLED_MAILBOX, sources.WORDS, "disabled", "deactivated", "de-activated", "suspend",
        "is inactive", "inactive user", "inactive account", "inactive mailbox", "inactive recipient", "inactivated",
        "not active", "not activated", "isnt active", "no longer active", "is locked", "account locked",
        "mailbox locked", "user locked", "on hold", "frozen", "account expired", "expired account",
        "account has expired", "mailbox expired", "user expired", "no longer accepting", "not currently accepting",
        "not accept any mail", "not receiving mail", "cannot receive", "cant receive", "can t accept", "not enabled",
        "out of service", "account unavailable", "account is unavailable", "account not available",
        "account is not available", "user unavailable", "user is unavailable", "user not available",
        "access denied mailbox", "mailbox access denied", "barred", "temporary locked", "temporarily locked",
        "user * locked", "temporarily inactive", "user is terminated", "is terminated", "mail receiving disabled",
        "accepted for this mailbox"),
    row("disabled-languages", Cause.DISABLED_MAILBOX, sources.LANGUAGES, "gesperrt", "deaktiviert", "stillgelegt",
        "désactivé", "desactive", "suspendu", "suspendida", "desactivad", "inactiva", "desativad", "inativ", "sospes",
        "disattivat", "disabilitat", "停止", "отключен", "неактив", "deaktivován", "zablokov", "ha expirado",
        "estado inactivo", "nieaktywn"),
)
# fmt: on
