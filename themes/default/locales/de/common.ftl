# Was alle Seiten gemeinsam haben.

title = { $page } – { $brand }

help = Hilfe
privacy = Datenschutz
terms = Bedingungen
language = Sprache
footer = Über diesen Dienst

back = Zurück
cancel = Abbrechen
use-another-account = Anderes Konto verwenden
signed-in-as = Angemeldet als

password-show = Passwort anzeigen
password-hide = Passwort verbergen
password-weak = Schwach
password-fair = Brauchbar
password-good = Gut
password-strong = Stark
password-caps = Die Feststelltaste ist aktiv.

time-now = gerade eben
time-minutes =
    { $count ->
        [one] vor { $count } Minute
       *[other] vor { $count } Minuten
    }
time-hours =
    { $count ->
        [one] vor { $count } Stunde
       *[other] vor { $count } Stunden
    }
time-days =
    { $count ->
        [one] vor { $count } Tag
       *[other] vor { $count } Tagen
    }
time-on = am { time-date }
time-date = { $day }. { $month } { $year }
time-date-and-time = { $day }. { $month } { $year }, { $time } UTC

month-1 = Januar
month-2 = Februar
month-3 = März
month-4 = April
month-5 = Mai
month-6 = Juni
month-7 = Juli
month-8 = August
month-9 = September
month-10 = Oktober
month-11 = November
month-12 = Dezember

device = { $browser } auf { $system }
device-browser-unknown = Ein Browser
device-unknown = Unbekanntes Gerät
