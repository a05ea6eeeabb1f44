"""Other words for the same: who has not read a page asks for its "repetitions" where it says "iterations".

English, single words, and only what is mostly meant alike in offices, manuals and reports. It is looked for
beside the words of the query and counts less (:mod:`hydra_rag_indexing.text`).
"""

from __future__ import annotations

from functools import cache

__all__ = ["alike"]

_GROUPS = """
picture image photo photograph figure illustration
chart graph plot diagram
remove delete erase discard drop destroy
add append insert include
create make build generate construct produce
begin start launch commence
end stop finish terminate quit exit
show display print view present
change modify alter edit update adjust
fix repair correct mend
error failure fault mistake problem malfunction
fast quick rapid speed
slow delay slowdown
performance speed efficiency
big large huge
small little tiny
repeat iterate loop repetition iteration
mesh grid lattice
shade fill paint
curve line stroke
transparent translucent opacity
wide width broad
high tall height
deep depth
long length
far distance
heavy weigh weight mass
old age
hot warm heat temperature
cold cool
color colour
letter character glyph symbol
folder directory
program application software executable
script command
option switch flag parameter setting argument preference
encrypt encryption cipher
decrypt decryption decipher
hash digest checksum fingerprint
password passphrase credential
buffer memory
thread process task
parallel concurrent simultaneous
processor cpu core
machine computer host
record row entry
field column attribute
search query lookup find
read load import
write save store export
convert transform translate conversion
copy duplicate clone replicate
url link hyperlink
website web internet
install setup installation
package library module extension plugin
compile build
check verify validate test
compare comparison match
sort order arrange
split divide separate partition
join merge combine concatenate
empty blank missing
allow permit enable
forbid prevent disable prohibit deny
require need necessary
limit maximum restrict bound
average mean
total sum
calculate compute evaluate calculation computation arithmetic
function procedure routine method
anonymous lambda
message notification notice
log record trace journal
session conversation
axis axes
rotate rotation turn
mirror flip reflect
scale zoom resize stretch shrink
move shift translate displace
position location place coordinate
dash dashed dotted
border frame edge margin
price cost charge fee rate tariff
pay payment remit
invoice bill
buy purchase acquire procure
sell sale
customer client buyer
supplier vendor seller dealer
manufacturer maker producer
carrier haulier courier forwarder
sender shipper consignor
recipient consignee addressee receiver
parcel package carton box
discount rebate reduction
tax vat
revenue sales turnover income
profit earnings surplus gain
loss deficit
growth increase rise
decline decrease fall drop reduction
debt liability
phone telephone mobile
email mail
deadline due
annual yearly year
monthly month
weekly week
daily day
previous earlier former prior
new recent latest
safe secure safety security
danger hazard risk
warning caution alert
broken damaged defective faulty
damage harm
clean wipe wash rinse
water liquid fluid
power energy electricity electric
car vehicle automobile
doctor physician
medicine drug medication
job position role occupation profession
employee worker staff personnel
boss manager head leader director supervisor chief
company firm business enterprise corporation
teacher instructor lecturer tutor
student pupil learner
course class lesson seminar
exam examination test
score grade mark
building house
road street
city town municipality
country nation
inhabitants population residents
tenant renter lessee
landlord lessor owner
rent lease
contract agreement
sign signature signed
author writer written
choose select pick
decide determine
explain describe
help assist support
keep retain preserve maintain
get obtain receive fetch retrieve
give provide supply
send transmit deliver dispatch
use usage employ utilize
reason cause
result outcome
example sample instance
part component piece section portion
whole entire complete full
same identical equal
different distinct other
right correct valid
wrong incorrect invalid
happen occur
ignore skip omit
replace substitute
hide hidden invisible
name identifier
definition define declare declaration
structure struct
exception throw raise
abort cancel
many multiple several
own custom
close near adjacent
inside within
outside external
often frequency interval
warranty guarantee
arrive arrival
depart departure leave
reservation booking
founded established foundation
inspection maintenance service
lose lost loss
hire recruit employ
fire dismiss dismissal
measure measurement
accuracy precision exact
noise interference
screen monitor display
mouse pointer cursor
button key
plug socket outlet
hole opening
attach fasten mount fix
loosen unscrew release
press push
pull drag
lid cover cap
"""


@cache
def _table() -> dict[str, tuple[str, ...]]:
    found: dict[str, dict[str, None]] = {}
    for group in _GROUPS.strip().split("\n"):
        words = group.split()
        for word in words:
            found.setdefault(word, {}).update(dict.fromkeys(other for other in words if other != word))
    return {word: tuple(others) for word, others in found.items()}


@cache
def _stems() -> dict[str, str]:
    from hydra_rag_indexing.text import stem

    return {stem(word): word for word in reversed(_table())}


def alike(word: str) -> tuple[str, ...]:
    """Words that may stand for ``word`` (in the normal form of the text search), none of its own forms."""
    from hydra_rag_indexing.text import stem

    begins = stem(word)
    others = _table().get(word) or _table().get(_stems().get(begins, ""), ())
    return tuple(other for other in others if not other.startswith(begins))
