# What every page shares.

title = { $page } · { $brand }

help = Help
privacy = Privacy
terms = Terms
language = Language
footer = About this service

back = Back
cancel = Cancel
use-another-account = Use another account
signed-in-as = Signed in as

password-show = Show password
password-hide = Hide password
password-weak = Weak
password-fair = Fair
password-good = Good
password-strong = Strong
password-caps = Caps Lock is on.

time-now = just now
time-minutes =
    { $count ->
        [one] { $count } minute ago
       *[other] { $count } minutes ago
    }
time-hours =
    { $count ->
        [one] { $count } hour ago
       *[other] { $count } hours ago
    }
time-days =
    { $count ->
        [one] { $count } day ago
       *[other] { $count } days ago
    }
time-on = on { time-date }
time-date = { $day } { $month } { $year }
time-date-and-time = { $day } { $month } { $year }, { $time } UTC

month-1 = January
month-2 = February
month-3 = March
month-4 = April
month-5 = May
month-6 = June
month-7 = July
month-8 = August
month-9 = September
month-10 = October
month-11 = November
month-12 = December

device = { $browser } on { $system }
device-browser-unknown = Browser
device-unknown = Unknown device
