"""The only loop: asks the policy, does what it says, charges the budget, yields events.

Whatever policy is given, no action is begun that could pass a limit, and the loop ends. When the time is up,
the model stops before its next layer, and the best answer that was judged so far is told. Closing the
generator closes the model's stream at once. Nothing is yielded while cleaning up.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import replace

from hydra_rag.errors import CancelledError
from hydra_rag.values import GenerationResult
from hydra_rag_agents import steps
from hydra_rag_agents.actions import Prepared, begin, drafted, prepare, search
from hydra_rag_agents.closer import CloserLibrary
from hydra_rag_agents.events import Delta, Done, Event, Glanced, Looked, Reflected, Searched
from hydra_rag_agents.gate import Gate
from hydra_rag_agents.judging import Place, Support, checked, citations_for, judge, prepare_check
from hydra_rag_agents.looking import look, look_tokens, reread
from hydra_rag_agents.moves import Action, Check, Conclude, Draft, Gaze, Glance, LookAt, Search, View
from hydra_rag_agents.policy import Policy, decide
from hydra_rag_agents.ports import Library, Reader
from hydra_rag_agents.spelling import Spelled, most_tokens, respell_cited
from hydra_rag_agents.state import Budget, Cost, PageId, Turn
from hydra_rag_agents.steps import NOT_FOUND_ANSWER
from hydra_rag_agents.timing import Deadline
from hydra_rag_agents.word_map import guessed_places

__all__ = ["NOT_FOUND_ANSWER", "run"]

#: A policy that keeps wanting what does not fit has come to its end.
_REFUSALS = 12


def run(
    library: Library,
    reader: Reader,
    turn: Turn,
    *,
    policy: Policy = decide,
    budget: Budget | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Generator[Event]:
    """One turn, as a stream of events that ends with :class:`Done`."""
    limits = budget or turn.settings.budget()
    gate = Gate() if turn.settings.gaze == "never" else reader.gate
    view = View(turn.settings, reader.profile, limits, gate, turn.image is not None)
    return _Run(library, reader, turn, policy, view, Deadline(clock, limits.seconds)).events()


class _Run:
    def __init__(
        self, library: Library, reader: Reader, turn: Turn, policy: Policy, view: View, deadline: Deadline
    ) -> None:
        self.library, self.reader, self.turn, self.policy = CloserLibrary(library), reader, turn, policy
        self.view, self.deadline = view, deadline
        self.places: dict[int, Place] = {}

    def events(self) -> Generator[Event]:
        while True:
            action = self.policy(self.view)
            if isinstance(action, Conclude):
                yield self._finish(action.judgement)
                return
            try:
                with self.deadline:
                    prepared, cost = self._price(action)
                if self.deadline.passed or not self._allowed(Cost(steps=1)):
                    yield self._finish(self.view.best)
                    return
                if not self._allowed(cost):
                    refused = self.view.refused
                    if action in refused or len(refused) >= _REFUSALS:
                        yield self._finish(self.view.best)
                        return
                    self.view = replace(self.view, refused=(*refused, action))
                    continue
                self._spend(Cost(steps=1))
                yield from self._do(action, prepared, cost)
            except CancelledError:
                if not self.deadline.passed:
                    raise
                yield self._finish(self.view.best)
                return

    def _price(self, action: Action) -> tuple[list[Prepared | None], Cost]:
        """What the action shows, and the most that it can cost."""
        if isinstance(action, Search):
            return [], Cost(steps=1, searches=1 + len(action.boxes))
        if isinstance(action, LookAt):
            return [], Cost(steps=1, tokens=look_tokens(self.reader, self.turn, action.page))
        if isinstance(action, Glance | Gaze):
            made = prepare(self.library, self.reader, self.turn, self.view, action)
            return [made], made.cost
        if isinstance(action, Check):
            both = prepare_check(self.library, self.reader, self.turn, self.view, action) or ()
            total = Cost()
            for one in both:
                total = total.plus(one.cost if one is not None else Cost())
            return list(both), replace(total, steps=1)
        return [], Cost(steps=1)

    def _allowed(self, cost: Cost) -> bool:
        """Whether there is room for it and for one more step, which is kept for the answer."""
        return self.view.budget.allows(self.view.spent, cost.plus(Cost(steps=1)))

    def _spend(self, cost: Cost) -> None:
        self.view = replace(self.view, spent=self.view.spent.plus(cost))

    def _do(self, action: Action, prepared: list[Prepared | None], cost: Cost) -> Generator[Event]:
        if isinstance(action, Search):
            yield self._search(action, cost)
        elif isinstance(action, LookAt):
            yield self._look(action.page, cost)
        elif isinstance(action, Check):
            yield self._check(action, prepared)
        elif isinstance(action, Glance | Gaze):
            shown = prepared[0]
            assert shown is not None, "a glance or gaze has one prompt"
            yield from self._read_again(action, shown) if shown.again else self._read(shown)
        else:
            with self.deadline:
                judgements, self.places, notes = judge(
                    self.library, self.reader, self.turn, self.view, self.places
                )
            self.view = replace(self.view, judgements=judgements, reflected=len(self.view.drafts))
            yield Reflected(steps.reflect_step(notes))

    def _search(self, action: Search, cost: Cost) -> Event:
        self._spend(replace(cost, steps=0))
        with self.deadline:
            found = search(self.library, self.turn, self.view, action)
        self.view = replace(self.view, candidates=found, searches=self.view.searches + 1)
        return Searched(steps.search_step(self.turn, action, found), found)

    def _look(self, page: PageId | None, cost: Cost) -> Event:
        self._spend(replace(cost, steps=0))
        if page is None and self.turn.image is None:  # a policy may ask for what is not there
            return Looked(steps.look_step(page, None, 0), None)
        with self.deadline:
            places = next((d.places for d in reversed(self.view.drafts) if d.pages == (page,)), ())
            found = look(self.library, self.reader, self.turn, page, places)
        judgements = tuple(
            replace(j, region=found.spots[0].box)
            if j.page == page and j.region is None and found.spots
            else j
            for j in self.view.judgements
        )
        self.view = replace(self.view, looks=(*self.view.looks, found), judgements=judgements)
        return Looked(steps.look_step(page, found, cost.tokens), found)

    def _read_again(self, action: Glance | Gaze, priced: Prepared) -> Generator[Event]:
        """Read the crops, then ask with the words that the page has now."""
        with self.deadline:
            texts, seen = reread(self.library, self.reader, priced.pages[0], priced.frames)
            prepared = prepare(self.library, self.reader, self.turn, self.view, action)
        yield from self._read(replace(prepared, cost=priced.cost), texts, seen)

    def _read(self, prepared: Prepared, texts: Sequence[str] = (), seen: int = 0) -> Generator[Event]:
        with self.deadline:
            reading = begin(self.library, self.reader, self.turn, prepared)
        try:
            for delta in reading:
                if delta.text:
                    yield Delta(delta.text, prepared.pages)
                if self.deadline.passed:
                    break
        finally:
            reading.close()
        draft, used = drafted(reading, prepared, seen)
        self._spend(used)
        if not draft.found and math.isfinite(draft.gain):
            words = self.library.words(draft.pages[0])
            draft = replace(draft, guesses=guessed_places(words, self.turn.asked))
        self.view = replace(self.view, drafts=(*self.view.drafts, draft))
        step = steps.read_step(prepared, draft, reading.result, texts, seen)
        yield Glanced(step, draft.pages, draft.text, draft.confidence)

    def _check(self, action: Check, prepared: list[Prepared | None]) -> Event:
        read = [None if one is None else self._quietly(one) for one in prepared]
        if not read:
            return Reflected(steps.reflect_step([]))
        shown = sum(result.prompt_tokens for _, result in filter(None, read))
        written = sum(len(result.token_ids) for _, result in filter(None, read))
        support = Support(*(None if one is None else one[0] for one in read))
        judgements = list(self.view.judgements)
        made, note = checked(judgements[action.judgement], support, self.view.gate)
        judgements[action.judgement] = made
        self.view = replace(self.view, judgements=tuple(judgements))
        return Reflected(steps.check_step(note, shown, written))

    def _quietly(self, prepared: Prepared) -> tuple[Draft, GenerationResult]:
        """Read without telling the pieces, which are no part of the answer."""
        with self.deadline:
            reading = begin(self.library, self.reader, self.turn, prepared)
        try:
            for _ in reading:
                if self.deadline.passed:
                    break
        finally:
            reading.close()
        draft, used = drafted(reading, prepared)
        self._spend(used)
        return draft, reading.result

    def _finish(self, chosen: int | None) -> Done:
        if chosen is None or chosen not in self.places:
            return steps.answer_step(self.view, None, ())
        judgement = self.view.judgements[chosen]
        hurry = self.deadline.passed
        cited = citations_for(
            self.library, self.reader, self.turn, self.view, self.places[chosen], judgement.text, hurry=hurry
        )
        spelled = Spelled(judgement.text, 0)
        looks = self.turn.settings.gaze != "never" and self.turn.settings.text_layer and not hurry
        if looks and self._allowed(Cost(tokens=most_tokens(self.reader))):
            page = self.places[chosen].candidate.id
            try:
                with self.deadline:
                    spelled, again = respell_cited(self.library, self.reader, page, spelled.text, cited[0])
                cited = (again,)
            except CancelledError:
                if not self.deadline.passed:
                    raise
            self._spend(Cost(tokens=spelled.tokens))
        return steps.answer_step(self.view, replace(judgement, text=spelled.text), cited, spelled.tokens)
