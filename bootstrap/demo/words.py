"""The words that demo rows are made of."""
# ruff: noqa: SIM905 - as lists they would be a word a line

FIRST_NAMES = """
Ada Alan Amara Anton Barbara Bela Carlos Chen Dana Dennis Edsger Elena Fatima Grace Hana Ingrid Ivan
Jamal Katherine Kenji Leila Linus Margaret Mei Nadia Niklaus Olga Pedro Priya Radia Rosa Samir Sofia
Tariq Tim Uma Vera Wei Yuki Zoe
""".split()
LAST_NAMES = """
Abbott Alvarez Baker Banerjee Berg Chen Costa Diaz Dubois Eriksen Fischer Garcia Haddad Hansen
Ibrahim Ito Jansen Johnson Kaya Kim Kowalski Lee Lopez Mbeki Moreau Nakamura Novak Okafor Olsen Park
Patel Rossi Santos Schmidt Silva Singh Tanaka Walker Weber Young
""".split()
ADJECTIVES = """
agile amber blue brave bright calm clear clever cold crisp daily deep eager early fair fast fresh
gentle golden green happy hidden keen large light local lucky modern nightly open plain quick quiet
rapid ready remote royal sharp silent simple small smart solid stable steady strong sunny swift tidy
warm weekly wide young
""".split()
NOUNS = """
account adapter agent alert archive backup balance batch beacon billing branch bridge budget build
cache calendar canary catalog channel checkout cluster customer dashboard database delivery device
engine event export feature feed forecast gateway graph index invoice journal ledger library market
matrix message meter model monitor network notebook order parser payment pipeline planner policy
portal profile project queue receipt record refund region release report review route runner sample
schedule search sensor server session shipment signal snapshot socket storage stream survey ticket
timeline tracker transfer tunnel vault webhook window worker workflow workspace
""".split()
VERBS = """
adjust analyze archive audit build check clean collect compare connect convert deploy describe
document draft explain extend fix improve index inspect load measure merge migrate monitor move
optimize plan prepare prune publish rebuild refactor release rename repair replace restore review
schedule search simplify split summarize test trace translate tune update upload validate verify
""".split()
KEYS = """
attempts color enabled format language limit locale mode owner priority quota region retries size
source target theme threshold timeout tier verbose version window zone
""".split()
EVENTS = "created updated started completed failed queued cancelled resumed archived".split()
STATES = "active pending running completed failed paused cancelled archived".split()
# Nothing more happens to a row in such a state.
OVER = """
approved archived canceled cancelled closed completed deleted destroyed done ended error expired
failed failure finished killed merged rejected removed stopped succeeded success timed_out
""".split()
FAILED = "error failed failure blocked rejected timed_out".split()
LEVELS = "low medium high critical".split()
ROLES = "user assistant system".split()
STAGES = "idea planning launch growth established".split()
CURRENCIES = "USD EUR GBP CAD".split()
COUNTRIES = "AR AU BR CA CN DE EG ES FR GB IN IT JP KE KR MX NG NL NO PL SE TR US ZA".split()
CITIES = "Accra Berlin Bogota Cairo Delhi Kyoto Lagos Lima Lisbon Nairobi Oslo Paris Quito".split()
INDUSTRIES = "retail finance health education energy logistics media software travel".split()
PROVIDERS = "openai anthropic google mistral local".split()
MODELS = "kimi-k2.5 gpt-5-mini claude-sonnet gemini-flash llama-4 mistral-large".split()
ERRORS = (
    "connection reset by peer",
    "timed out after 30 s",
    "rate limit exceeded",
    "permission denied",
    "unexpected end of input",
    "no space left on device",
)
