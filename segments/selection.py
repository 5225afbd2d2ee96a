"""What a marketer chose: a segment, the arguments of its parameters, and rules that refine it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from domain import rules as rule_words
from domain.campaigns import Refinement
from domain.previews import Described
from domain.rule_values import ADDRESS
from domain.rules import Condition, Rule, RuleError
from segments import expression, registry, rules, wording
from segments.combined import CombinedSegment
from segments.definition import Members, Segment, hash_of
from segments.parameters import ArgumentError, Value
from segments.population import Population


@dataclass(frozen=True, slots=True)
class Selection:
    """A segment with everything that decides who is in: its members are those of whom every rule is true besides."""

    segment: Segment
    arguments: Mapping[str, str] = field(default_factory=dict)
    rules: tuple[Rule, ...] = ()

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """What the rules mean. Raises RuleError."""
        return rule_words.check_all(self.rules)

    @property
    def needs(self) -> tuple[str, ...]:
        """The columns of domain/features.py that it reads."""
        return tuple(dict.fromkeys((*self.segment.needs, *rules.needs(self.conditions))))

    @property
    def definition_hash(self) -> str:
        """Of all that decides who is in: as the segment's own where nothing refines it.

        Two ways to say one thing (20% and 0.2, another sequence of rules, an argument that is the default) are one.
        """
        defaults = {one.name: one.default for one in self.segment.parameters}
        chosen = {name: value for name, value in self._values().items() if value != defaults[name]}
        refined = sorted({rule_words.canonical(one) for one in self.conditions}, key=repr)
        if not chosen and not refined:
            return self.segment.definition_hash
        parts = [f"{name}={value!r}" for name, value in sorted(chosen.items())]
        parts += [f"{one.field} {one.operator} {one.value!r} {one.days}" for one in refined]
        return hash_of((self.segment.definition_hash, str(len(chosen)), *parts))

    def members(self, population: Population) -> Members:
        """Who is in: one boolean a customer, in the order of the population's frame. Raises EvaluationError."""
        conditions = self.conditions
        population.frame(self.needs)  # read once, so that no two columns are of two moments
        chosen = self.segment.members(population, self.arguments)
        for condition in conditions:
            chosen = chosen & rules.holds(condition, population)
        return chosen

    def sentences(self) -> list[str]:
        """What it asks, in words: the segment first, then each rule."""
        values = self._values()
        asked = ", ".join(f"{name.replace('_', ' ')} {values[name]}" for name in self.arguments)
        name = self.segment.name
        what = f"({name})" if " " in name else f"segment {name}"  # an expression, and "and" follows
        segment = f"is in {what}{f' with {asked}' if asked else ''}"
        return [segment, *(rule_words.sentence(one) + rule_words.note(one) for one in self.rules)]

    def described(self) -> tuple[Described, ...]:
        """The segment, or each that an expression names: its first sentence, and the arguments in force."""
        whole = self.segment
        if not isinstance(whole, CombinedSegment) or " " not in whole.name:
            return (_described(whole, self.arguments),)
        named = expression.named(whole.rule)
        return tuple(dict.fromkeys(_described(whole.parts[one.name], one.arguments) for one in named))

    def explain_rules(self, population: Population, party_id: int) -> list[tuple[str, str, bool]]:
        """Of one customer: each rule's sentence, what the customer has, and whether the rule is true.

        Raises LookupError where the customer has no counted order.
        """
        told = []
        for condition in self.conditions:
            value = rules.value_of(condition, population, party_id)
            mine = population.frame(())["party_id"] == party_id
            if not mine.any():
                raise LookupError("this customer has no counted order, so no rule is true of them")
            true = bool(rules.holds(condition, population)[mine].iloc[0])
            told.append((rule_words.sentence(condition.rule) + rule_words.note(condition.rule), value, true))
        return told

    def _values(self) -> dict[str, str | int | float]:
        return self.segment.values(self.arguments)


def _described(segment: Segment, arguments: Mapping[str, Value]) -> Described:
    values = segment.values(arguments)
    told = []
    for one in segment.parameters:
        value = values[one.name]
        default = " (default)" if value == one.default else ""
        words = "not given" if value == "" else f"{wording.shown(value)}{default}"
        told.append(f"{one.name.replace('_', ' ')} {words}")
    return Described(segment.name, segment.description, tuple(told))


def of(segment: str, refinement: Refinement) -> Selection:
    """What was asked, checked: a name or an expression of segments, refined.

    An empty argument is the parameter's default. `exclude` and `members_of` are not its business. Raises UnknownSegment
    and DefinitionError; ArgumentError or RuleError, which name every fault of arguments and rules at once.
    """
    if ADDRESS.search(segment):  # what is asked is shown to everyone who can open the run, and kept with its size
        raise ArgumentError("there is an address in what was asked, which no segment asks about")
    chosen = registry.parse(segment)
    arguments = {name: text.strip() for name, text in refinement.arguments.items() if text.strip()}
    wrong_arguments = [fault for name in arguments if (fault := _fault(chosen, name, arguments[name]))]
    wrong_rules = []
    try:
        rule_words.check_all(refinement.rules)
    except RuleError as error:
        wrong_rules.append(str(error))
    if faults := [*wrong_arguments, *wrong_rules]:
        raise (ArgumentError if wrong_arguments else RuleError)(". ".join(faults))
    return Selection(chosen, arguments, tuple(refinement.rules))


def _fault(segment: Segment, name: str, text: str) -> str | None:
    if ADDRESS.search(text):  # a selection is shown to everyone who can open the run
        return f"parameter {name!r} is given an address, which no segment asks about"
    try:
        segment.values({name: text})
    except ArgumentError as error:
        return str(error)
    return None
