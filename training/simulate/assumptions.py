"""Every number the town rests on, in one place; `docs/town.md` gives the source of each."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class PeopleAssumptions:
    """Who lives in the town."""

    household_shares: tuple[float, ...] = (0.35, 0.25, 0.22, 0.08, 0.10)
    """Single · couple · couple with one child · with two · with an elder."""
    birth_date_unknown: float = 0.12
    zone_unknown: float = 0.10
    zone_shares: tuple[float, ...] = (0.94, 0.02, 0.02, 0.01, 0.01)
    """In the order of `people.ZONES`."""
    joining_per_day: float = 0.0005
    """Share of people who join on a given day of the town."""
    consents_offers: float = 0.68
    consents_suggestions: float = 0.62
    """Each asked of people of 14 and over."""
    agreeableness_correlation: float = 0.6
    """Correlation of the two consents' latent scores."""
    sociability_sd: float = 0.35
    generosity_sd: float = 0.7
    spending_sd: float = 0.6
    """Standard deviations of log-normal traits with median 1."""
    averse_share: float = 0.08
    """Share of people who buy less when they are advertised to."""
    main_taste: float = 0.65
    second_taste: float = 0.2


@dataclass(frozen=True, slots=True)
class TieAssumptions:
    """Who knows whom, and how well."""

    class_size: float = 26.0
    class_density: float = 0.40
    work_size: float = 18.0
    work_density: float = 0.32
    hobby_size: float = 22.0
    hobby_density: float = 0.26
    hobby_share: float = 0.6
    acquaintances_each: float = 3.0
    """Random ties drawn per person, ends weighted by sociability."""
    closeness_medians: tuple[float, ...] = (0.93, 0.64, 0.34, 0.28, 0.38, 0.16)
    """By circle, in the order of `circles.Circle`."""
    closeness_sd: float = 1.0
    """Of the logit of closeness around its circle's median."""
    taste_pull: float = 0.8
    """Logits of closeness per unit of cosine between two people's tastes."""
    fading_per_day: float = 0.0010
    growing_per_day: float = 0.0007
    forming_per_day: float = 0.0007
    """Share of ties whose fading, growing or beginning falls on a given day."""
    ending_per_day: float = 0.0003
    ending_stays_one_way: float = 0.35
    never_answered: float = 0.04
    """Share of friend requests (kin apart) that stay one-way."""


@dataclass(frozen=True, slots=True)
class ContactAssumptions:
    """How often and in what rhythm people talk."""

    log_rate_at_zero: float = -7.4
    log_rate_per_closeness: float = 5.9
    """Conversations a day of a pair: exp(zero + slope × closeness)."""
    pair_sd: float = 0.55
    person_sd: float = 0.35
    """Log-normal noise of a pair's rate, and of a person's."""
    follow_up: float = 0.35
    """Expected conversations that a conversation sets off on the following days."""
    reply: float = 0.745
    """Chance that the next message of a conversation comes from the other side."""
    gap_median_s: float = 69.0
    gap_log_sd: float = 1.7
    length_log_at_zero: float = 0.35
    length_log_per_closeness: float = 0.7
    length_log_sd: float = 0.95
    longest: int = 60
    call: float = 0.12
    call_median_minutes: float = 0.6
    call_log_sd: float = 1.5
    birthday_greeting: float = 0.6
    festival_greeting: float = 0.3
    """Chance at closeness 1; proportional to closeness."""
    thanks: float = 0.6
    thanks_answered: float = 0.5
    hours: tuple[float, ...] = (
        *(0.012, 0.009, 0.003, 0.002, 0.001, 0.001, 0.008, 0.029, 0.041, 0.055, 0.052, 0.059),
        *(0.069, 0.060, 0.057, 0.057, 0.070, 0.071, 0.058, 0.066, 0.068, 0.066, 0.055, 0.032),
    )
    """Weight of each hour of the day."""
    weekdays: tuple[float, ...] = (0.97, 1.02, 0.97, 1.02, 1.06, 1.04, 0.92)
    """Monday to Sunday."""


@dataclass(frozen=True, slots=True)
class GivingAssumptions:
    """When people give, how much, and what becomes of it."""

    daily_cap: int = 10
    spontaneous_log_rate: float = -6.1
    spontaneous_per_closeness: float = 3.6
    """Gifts a day without an occasion: exp(rate + slope × (closeness − 1))."""
    pair_sd: float = 0.4
    birthday: float = 0.38
    """Chance of a gift at closeness 1 and median generosity; falls as closeness^1.5."""
    festivals: tuple[tuple[str, float], ...] = (
        *(("new_year", 0.05), ("spring_festival", 0.15), ("lantern", 0.03), ("womens_day", 0.02)),
        *(("dragon_boat", 0.07), ("teachers_day", 0.02), ("mid_autumn", 0.12)),
        *(("national_day", 0.02), ("double_ninth", 0.03), ("double_eleven", 0.02)),
        ("christmas", 0.05),
    )
    couples: tuple[tuple[str, float], ...] = (
        *(("valentine", 0.55), ("five_twenty", 0.5), ("qixi", 0.5), ("womens_day", 0.2)),
    )
    children: float = 0.45
    """Chance of a gift to a child of the family on children's day."""
    lead_days: tuple[float, ...] = (0.72, 0.18, 0.10)
    """Share of occasion gifts given on the day, one and two days ahead."""
    reciprocity: float = 0.56
    """By how much receiving a gift raises a person's own spontaneous giving."""
    reciprocity_days: int = 30
    reciprocity_mean_days: float = 8.0
    reciprocity_most: float = 0.6
    """Ceiling of the gifts that one gift brings about, so that giving cannot run away."""
    returned_directly: float = 0.4
    """Share of those gifts that go back to the giver; the others are paid forward."""
    amount_echo: float = 0.18
    """Fen added to what a return gift may cost per fen received."""
    budget_yuan: tuple[tuple[str, float], ...] = (
        *(("none", 11.0), ("birthday", 38.0), ("spring_festival", 28.0), ("mid_autumn", 60.0)),
        *(("valentine", 90.0), ("five_twenty", 80.0), ("qixi", 90.0), ("childrens_day", 60.0)),
    )
    other_budget_yuan: float = 18.0
    budget_log_sd: float = 0.55
    budget_per_closeness: float = 1.2
    knows_taste: tuple[float, float] = (0.25, 0.6)
    """Chance of choosing by the recipient's taste: first + second × closeness."""
    from_wishes: float = 0.2
    """Chance that a wish of the recipient's is granted, where there is one, at closeness 1."""
    accept_logit: tuple[float, float] = (1.7, 2.2)
    """Logit of acceptance: first + second × closeness."""
    declined_of_rest: float = 0.25
    answer_median_s: float = 1_200.0
    answer_log_sd: float = 1.6
    redeemed: float = 0.7
    redeemed_mean_days: float = 4.0
    fan_log_sd: float = 1.0
    fans_share: float = 0.04
    """Mean share of the town that follows a creator."""
    fan_gifts_per_day: float = 0.006
    hours: tuple[float, ...] = (
        *(0.030, 0.008, 0.004, 0.003, 0.003, 0.005, 0.012, 0.030, 0.045, 0.055, 0.055, 0.060),
        *(0.075, 0.060, 0.045, 0.045, 0.045, 0.055, 0.060, 0.070, 0.080, 0.075, 0.050, 0.030),
    )
    live_hours: tuple[float, ...] = (*(0.0,) * 19, 0.25, 0.4, 0.3, 0.05, 0.0)


@dataclass(frozen=True, slots=True)
class TasteAssumptions:
    """What people like, and what they do about it."""

    events_per_day: float = 0.19
    activity_shape: float = 1.4
    """Gamma shape of a person's activity: small is unequal."""
    style_sd: float = 1.0
    """Log-normal noise of an item's appeal to a lifestyle."""
    popularity_sd: float = 0.5
    brand_sd: float = 0.3
    price_log_sd: float = 0.6
    """Tolerance around the price somebody has in mind."""
    own_budget_yuan: float = 24.0
    own_budget_log_sd: float = 0.9
    from_friend: float = 0.12
    from_crowd: float = 0.08
    loyalty: float = 0.15
    kind_shares: tuple[float, ...] = (0.35, 0.45, 0.20)
    """Bought · liked · wished."""
    occasion_lift: float = 2.2
    """Log-weight of an item made for the occasion."""


@dataclass(frozen=True, slots=True)
class CampaignAssumptions:
    """What brands offer and how people respond."""

    offers_per_day: float = 0.4
    shortest_days: int = 7
    longest_days: int = 14
    reach: float = 0.55
    """Share of the eligible that a campaign draws, at random."""
    held_out: float = 0.2
    """Share of those drawn that is never shown the offer, at random."""
    youngest: int = 14
    discounts: tuple[float, float] = (0.1, 0.5)
    fee_share: float = 0.15
    fee_fixed_fen: int = 100
    organic_logit: float = -3.7
    organic_fit: float = 0.8
    organic_loyalty: float = 1.2
    organic_friends: float = 0.25
    """Per friend (three at most) who redeemed an offer of the brand before."""
    persuasion: float = 0.4
    persuasion_deal: float = 2.6
    """Per unit of discount and of a person's liking for deals."""
    persuasion_fit: float = 0.25
    averse: float = -1.2
    """Added for those who buy less when they are advertised to."""
    price_pain: float = 0.35
    """Logits lost per doubling of the price over what the person usually spends."""
    click_logit: float = -2.3
    click_fit: float = 0.5
    click_deal: float = 0.5


@dataclass(frozen=True, slots=True)
class Assumptions:
    """All of them."""

    people: PeopleAssumptions = field(default_factory=PeopleAssumptions)
    ties: TieAssumptions = field(default_factory=TieAssumptions)
    contacts: ContactAssumptions = field(default_factory=ContactAssumptions)
    giving: GivingAssumptions = field(default_factory=GivingAssumptions)
    tastes: TasteAssumptions = field(default_factory=TasteAssumptions)
    campaigns: CampaignAssumptions = field(default_factory=CampaignAssumptions)
