"""What the town's shops sell: invented brands and everyday products, in Chinese and English."""

from __future__ import annotations

from dataclasses import dataclass

from engine.domain.gifts import Mechanics, Tier


@dataclass(frozen=True, slots=True)
class Brand:
    """An invented brand; any likeness to a real one is chance."""

    brand: str
    zh: str
    en: str
    category: str


@dataclass(frozen=True, slots=True)
class Product:
    """A thing every brand of its category sells, with the yuan it costs from and to."""

    category: str
    zh: str
    en: str
    kind: str
    tier: Tier
    yuan_from: float
    yuan_to: float
    occasions: tuple[str, ...] = ()
    seasonal: bool = False
    """Sold only around its occasions."""


BRANDS = tuple(
    Brand(en.lower().replace(" ", "-"), zh, en, category)
    for category, zh, en in (
        *(("coffee", "雾舟", "Mist Boat"), ("coffee", "半盏", "Half Cup")),
        *(("tea", "青瓦茶事", "Slate Leaf"), ("tea", "松下", "Under Pines")),
        *(("cake", "糖纸鹤", "Sugar Crane"), ("cake", "麦浪坊", "Wheat Tide")),
        *(("flowers", "花信", "Bloom Post"), ("flowers", "朝露花房", "Dew House")),
        *(("snacks", "脆先生", "Mister Crunch"), ("snacks", "山货郎", "Hill Pedlar")),
        *(("dining", "灶王里", "Hearth Lane"), ("dining", "南巷小馆", "South Alley")),
        *(("books", "灯下", "Lamplight"), ("books", "纸岛", "Paper Isle")),
        *(("stationery", "墨格", "Ink Grid"), ("stationery", "木页", "Wood Page")),
        *(("toys", "积云", "Cumulus"), ("toys", "小木工", "Tiny Joiner")),
        *(("games", "像素塔", "Pixel Tower"), ("games", "星港", "Star Harbour")),
        *(("digital", "声窗", "Sound Window"), ("digital", "微光", "Glimmer")),
        *(("sports", "逐风", "Windchase"), ("sports", "山径", "Hilltrack")),
        *(("skincare", "露白", "Dewhite"), ("skincare", "草本记", "Herb Notes")),
        *(("home", "暖居", "Warm Nook"), ("home", "素器", "Plain Ware")),
        *(("pets", "毛球", "Furball"), ("pets", "喵汪铺", "Paw Shop")),
        *(("cards", "见字", "See Words"), ("cards", "福笺", "Lucky Note")),
    )
)

_V, _C, _K, _G = "voucher", "cake", "card", "goods"
_B, _S, _U, _D = Tier.BASIC, Tier.SCENE, Tier.CUSTOM, Tier.GOODS
_COUPLE = ("valentine", "five_twenty", "qixi")
_NEW = ("new_year", "spring_festival")
_MOON = ("mid_autumn",)
_BIRTHDAY = ("birthday",)
_LADIES = ("womens_day", "five_twenty")

PRODUCTS = tuple(
    Product(*row)
    for row in (
        ("coffee", "美式咖啡券", "Americano voucher", _V, _S, 12, 18),
        ("coffee", "拿铁券", "Latte voucher", _V, _S, 18, 28),
        ("coffee", "加浓一份", "Extra shot", _V, _B, 3, 6),
        ("coffee", "早餐咖啡套餐", "Breakfast coffee set", _V, _S, 19, 29),
        ("coffee", "挂耳咖啡盒", "Drip coffee box", _G, _U, 58, 98, _BIRTHDAY),
        ("coffee", "咖啡储值卡", "Coffee gift card", _K, _U, 100, 200, _BIRTHDAY),
        ("tea", "奶茶券", "Milk tea voucher", _V, _S, 12, 22),
        ("tea", "果茶券", "Fruit tea voucher", _V, _S, 14, 24),
        ("tea", "加料券", "Topping voucher", _V, _B, 2, 5),
        ("tea", "茉莉茶罐", "Jasmine tea tin", _G, _U, 68, 128, ("double_ninth", *_MOON)),
        (
            "tea",
            "春茶礼盒",
            "Spring tea box",
            _G,
            _U,
            128,
            199,
            ("spring_festival", "double_ninth"),
        ),
        ("tea", "普洱茶饼", "Pu'er cake", _G, _D, 220, 560, ("spring_festival", *_MOON)),
        ("cake", "小蛋糕券", "Cupcake voucher", _V, _S, 12, 24, _BIRTHDAY),
        ("cake", "生日蛋糕六寸", "Birthday cake 6 inch", _C, _U, 98, 168, _BIRTHDAY),
        ("cake", "生日蛋糕八寸", "Birthday cake 8 inch", _C, _D, 168, 288, _BIRTHDAY),
        ("cake", "早餐面包券", "Breakfast bread voucher", _V, _B, 6, 10),
        ("cake", "曲奇铁盒", "Cookie tin", _G, _U, 58, 98, ("christmas", "spring_festival")),
        ("cake", "中秋月饼礼盒", "Mooncake box", _G, _U, 98, 198, _MOON, True),
        ("flowers", "单枝玫瑰", "Single rose", _V, _S, 15, 29, _COUPLE),
        ("flowers", "玫瑰花束", "Rose bouquet", _G, _U, 99, 199, _COUPLE),
        ("flowers", "百合花束", "Lily bouquet", _G, _U, 88, 168, ("womens_day", "birthday")),
        ("flowers", "电子花束", "Digital bouquet", _K, _B, 2, 8, ("womens_day", *_COUPLE)),
        ("flowers", "每周鲜花月卡", "Weekly flowers for a month", _K, _D, 199, 329, _LADIES),
        ("flowers", "年宵花盆栽", "New Year potted flower", _G, _U, 68, 138, _NEW, True),
        ("snacks", "薯片券", "Crisps voucher", _V, _B, 5, 9),
        ("snacks", "坚果小包", "Nut pouch", _G, _S, 15, 29),
        ("snacks", "零食大礼包", "Snack hamper", _G, _U, 58, 118, ("childrens_day", *_NEW)),
        ("snacks", "年货坚果礼盒", "New Year nut box", _G, _U, 88, 168, _NEW, True),
        ("snacks", "端午粽子礼盒", "Zongzi box", _G, _U, 68, 148, ("dragon_boat",), True),
        ("snacks", "元宵汤圆", "Lantern dumplings", _G, _S, 19, 29, ("lantern",), True),
        ("dining", "午餐代金券", "Lunch voucher", _V, _S, 18, 30),
        ("dining", "早餐券", "Breakfast voucher", _V, _B, 5, 10),
        ("dining", "双人晚餐", "Dinner for two", _V, _D, 168, 398, _COUPLE),
        ("dining", "火锅代金券", "Hotpot voucher", _V, _U, 88, 188, ("birthday", "new_year")),
        ("dining", "甜品券", "Dessert voucher", _V, _S, 15, 28),
        ("dining", "家宴储值卡", "Family dinner card", _K, _U, 200, 200, ("spring_festival",)),
        ("books", "电子书券", "E-book voucher", _V, _S, 12, 26),
        ("books", "月读会员", "Monthly reading pass", _K, _S, 18, 30, ("teachers_day",)),
        ("books", "短篇一册", "One short story", _V, _B, 3, 8),
        ("books", "小说精装", "Hardback novel", _G, _U, 58, 98, _BIRTHDAY),
        ("books", "绘本套装", "Picture book set", _G, _U, 88, 168, ("childrens_day",)),
        ("books", "辞典典藏版", "Collector's dictionary", _G, _D, 260, 480, ("teachers_day",)),
        ("stationery", "中性笔组", "Pen set", _G, _S, 12, 25),
        ("stationery", "贴纸", "Stickers", _G, _B, 4, 9, ("childrens_day",)),
        ("stationery", "手账本", "Journal", _G, _U, 58, 88, ("new_year", "teachers_day")),
        ("stationery", "刻字钢笔", "Engraved fountain pen", _G, _U, 120, 198, ("teachers_day",)),
        ("stationery", "书签", "Bookmark", _G, _B, 5, 10, ("teachers_day",)),
        ("stationery", "台历", "Desk calendar", _G, _S, 19, 30, ("new_year",), True),
        ("toys", "毛绒钥匙扣", "Plush key ring", _G, _S, 15, 29),
        ("toys", "积木小盒", "Small brick box", _G, _U, 59, 129, ("childrens_day", "birthday")),
        ("toys", "毛绒熊", "Plush bear", _G, _U, 79, 169, ("childrens_day", *_COUPLE)),
        ("toys", "遥控车", "Remote car", _G, _D, 199, 399, ("childrens_day",)),
        ("toys", "泡泡机券", "Bubble machine voucher", _V, _S, 12, 22, ("childrens_day",)),
        ("toys", "折纸套装", "Origami set", _G, _B, 5, 10, ("childrens_day",)),
        ("games", "点券十枚", "Ten game coins", _V, _B, 6, 10),
        ("games", "月卡", "Monthly game pass", _K, _S, 28, 30),
        ("games", "赛季通行证", "Season pass", _K, _U, 68, 98, _BIRTHDAY),
        ("games", "角色皮肤", "Character skin", _K, _U, 58, 168, ("birthday", "spring_festival")),
        ("games", "独立游戏", "Indie game key", _K, _S, 18, 30),
        ("games", "游戏手柄", "Game controller", _G, _D, 168, 368, _BIRTHDAY),
        ("digital", "音乐会员月卡", "Music pass for a month", _K, _S, 10, 18),
        ("digital", "视频会员月卡", "Video pass for a month", _K, _S, 15, 28),
        ("digital", "云空间券", "Cloud storage voucher", _V, _B, 6, 10),
        ("digital", "刻字充电宝", "Engraved power bank", _G, _U, 99, 179, ("double_eleven",)),
        ("digital", "蓝牙耳机", "Earphones", _G, _D, 199, 699, ("birthday", "double_eleven")),
        ("digital", "智能手环", "Smart band", _G, _D, 180, 399, ("birthday", "double_eleven")),
        ("sports", "运动饮料券", "Sports drink voucher", _V, _B, 5, 9),
        ("sports", "单次健身券", "One gym visit", _V, _S, 19, 30),
        ("sports", "跑步袜", "Running socks", _G, _S, 20, 30),
        ("sports", "瑜伽垫", "Yoga mat", _G, _U, 79, 159, ("new_year",)),
        ("sports", "定制水壶", "Named water bottle", _G, _U, 59, 119, _BIRTHDAY),
        ("sports", "跑鞋", "Running shoes", _G, _D, 299, 799, ("birthday", "double_eleven")),
        ("skincare", "面膜单片", "Single face mask", _G, _B, 6, 10),
        ("skincare", "护手霜", "Hand cream", _G, _S, 19, 30, ("womens_day", "teachers_day")),
        ("skincare", "润唇膏", "Lip balm", _G, _S, 18, 30),
        ("skincare", "香氛礼盒", "Fragrance box", _G, _U, 128, 199, _LADIES),
        ("skincare", "精华套装", "Serum set", _G, _D, 299, 899, ("five_twenty", "double_eleven")),
        ("skincare", "刻字口红", "Engraved lipstick", _G, _U, 99, 189, (*_LADIES, "qixi")),
        ("home", "香薰蜡烛", "Scented candle", _G, _U, 58, 118, ("christmas",)),
        ("home", "马克杯", "Mug", _G, _S, 19, 30, ("christmas",)),
        ("home", "冰箱贴", "Fridge magnet", _G, _B, 6, 10),
        ("home", "刻名筷子", "Named chopsticks", _G, _U, 58, 98, ("spring_festival",)),
        (
            "home",
            "颈肩按摩仪",
            "Neck massager",
            _G,
            _D,
            199,
            499,
            ("double_ninth", "double_eleven"),
        ),
        ("home", "羊毛毯", "Wool blanket", _G, _D, 189, 399, ("double_ninth", "christmas")),
        ("pets", "猫条券", "Cat treat voucher", _V, _B, 5, 10),
        ("pets", "狗零食包", "Dog snack pack", _G, _S, 18, 30),
        ("pets", "逗猫棒", "Cat wand", _G, _S, 12, 25),
        ("pets", "刻名宠物牌", "Named pet tag", _G, _U, 50, 80, _BIRTHDAY),
        ("pets", "猫抓板", "Scratching board", _G, _U, 59, 119),
        ("pets", "自动喂食器", "Feeder", _G, _D, 199, 399, ("double_eleven",)),
        ("cards", "生日贺卡", "Birthday card", _K, _B, 1, 6, _BIRTHDAY),
        ("cards", "新春红包封面", "Spring Festival cover", _K, _B, 1, 10, _NEW),
        ("cards", "中秋贺卡", "Mid-Autumn card", _K, _B, 1, 6, ("mid_autumn", "national_day")),
        ("cards", "感谢卡", "Thank-you card", _K, _B, 1, 6, ("teachers_day",)),
        (
            "cards",
            "节日动态贺卡",
            "Animated festival card",
            _K,
            _S,
            8,
            15,
            ("christmas", "lantern"),
        ),
        ("cards", "语音相册", "Voice album", _K, _U, 50, 80, ("birthday", "double_ninth")),
    )
)

FORBIDDEN = (
    ("拼手气红包", "Lucky-draw packet", "card", Mechanics.LOTTERY, 20.0),
    ("好友抽奖券", "Friends' raffle ticket", "card", Mechanics.LOTTERY, 9.9),
    ("群抽奖礼盒", "Group draw box", "goods", Mechanics.GROUP_DRAW, 66.0),
    ("手气最佳接力", "Luckiest sends next", "card", Mechanics.CHAIN, 10.0),
    ("积云盲盒", "Cumulus blind box", "goods", Mechanics.BLIND_BOX, 59.0),
    ("毛球盲盒", "Furball blind box", "goods", Mechanics.BLIND_BOX, 69.0),
)
"""Items whose recipient or value is drawn at random: in the catalogue, never in a gift."""

EDITIONS = (
    ("sugar-crane", "像素塔 × 糖纸鹤 联名蛋糕", "Pixel Tower x Sugar Crane cake", 128.0),
    ("bloom-post", "花信 × 见字 情书花盒", "Bloom Post x See Words love letter", 188.0),
    ("ink-grid", "墨格 × 灯下 藏书章", "Ink Grid x Lamplight book seal", 89.0),
    ("sound-window", "声窗 × 星港 限定耳机", "Sound Window x Star Harbour earphones", 499.0),
    ("under-pines", "松下 × 素器 春茶杯", "Under Pines x Plain Ware tea cup", 168.0),
    ("cumulus", "积云 × 毛球 联名公仔", "Cumulus x Furball figure", 99.0),
)
"""Co-branded editions: sold for three weeks, in limited number."""
