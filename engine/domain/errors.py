"""The one error tree: every failure a caller can see has a code, a message and a hint."""

from __future__ import annotations

from typing import ClassVar


class LishangError(Exception):
    """A failure with a stable code.

    Parameters
    ----------
    message
        What went wrong, for a person; names the offending value where that is safe.
    hint
        What to do about it.
    """

    code: ClassVar[str] = "INTERNAL"

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.code}: {self.message}" + (f" ({self.hint})" if self.hint else "")


class InvalidInput(LishangError):
    """The input does not mean anything we can act on."""

    code = "INVALID_INPUT"


class UnknownReference(LishangError):
    """The input names something that does not exist here."""

    code = "NOT_FOUND"


class Conflict(LishangError):
    """The input contradicts what is already recorded."""

    code = "CONFLICT"


class IdempotencyConflict(Conflict):
    """An idempotency key came again with another body."""

    code = "IDEMPOTENCY_KEY_REUSED"


class CursorUnusable(Conflict):
    """A cursor from which the feed cannot be read on without a loss."""

    code = "CURSOR_UNUSABLE"


class MoveRefused(Conflict):
    """A gift in its state cannot be moved so."""

    code = "MOVE_REFUSED"


class PriceDiffers(Conflict):
    """A gift was to be swapped for an item of another price."""

    code = "PRICE_DIFFERS"


class SwapRefused(Conflict):
    """The rules would not let the other item be sent; the recipient is told nothing more."""

    code = "SWAP_REFUSED"


class CodeRefused(Conflict):
    """A voucher's code is missing, wrong or void: one answer for all, which helps no guesser."""

    code = "CODE_REFUSED"


class NotAuthenticated(LishangError):
    """No valid key came with the request."""

    code = "NOT_AUTHENTICATED"


class NotPermitted(LishangError):
    """The key lacks the scope that the route asks for."""

    code = "SCOPE_MISSING"


class PolicyError(LishangError):
    """A rule pack or the rules engine is unfit: nothing may be allowed on its word."""

    code = "POLICY_UNAVAILABLE"


class PackInvalid(PolicyError):
    """A rule pack cannot be compiled; the message gives file, line and column.

    Parameters
    ----------
    message, hint
        As of every failure.
    fault
        Which fault it is: a code of `docs/lint.md`.
    """

    code = "PACK_INVALID"

    def __init__(self, message: str, hint: str = "", fault: str = "REFUSED") -> None:
        super().__init__(message, hint)
        self.fault = fault


class FactsInvalid(PolicyError):
    """The facts given to a decision are missing, mistyped or outside the catalogue."""

    code = "FACTS_INVALID"


class LedgerUnavailable(LishangError):
    """The database cannot be reached or is not at the expected migration."""

    code = "LEDGER_UNAVAILABLE"


class ModelError(LishangError):
    """A model cannot be fitted, loaded or found."""

    code = "MODEL_UNAVAILABLE"


class ManifestMismatch(ModelError):
    """A stored model was fitted on other features than this code computes."""

    code = "MANIFEST_MISMATCH"


class NotEnoughData(ModelError):
    """The log holds too little to fit or judge a model on."""

    code = "NOT_ENOUGH_DATA"


class FileRefused(InvalidInput):
    """An import file has more bad rows than allowed; nothing of it was stored."""

    code = "FILE_REFUSED"
