# Startseite, eigenes Konto, erster Administrator.

front-title = Willkommen
front-sign-in = Anmelden
front-account = Zu Ihrem Konto
front-heading-plain = Willkommen
front-text = Ein Konto für alles, was Sie hier nutzen.

account-title = Ihr Konto
account-heading = Ihr Konto
account-sign-out = Abmelden
account-details = Ihre Angaben
account-name = Ihr Name
account-email = E-Mail-Adresse
account-verified = Bestätigt
account-unverified = Noch nicht bestätigt
account-sub = Konto-ID
account-sub-hint = Der Support fragt vielleicht danach.
account-sessions = Wo Sie angemeldet sind
account-sessions-text = Kommt Ihnen etwas davon unbekannt vor? Dann beenden Sie es und sagen Sie es den Betreibern dieses Dienstes.
account-session-current = Dieses Gerät
account-session-used = Zuletzt genutzt { $when }
account-session-since = Angemeldet { $when }
account-session-end = Beenden
account-session-end-name = Sitzung von { $device } beenden
account-sessions-only = Sie sind nur auf diesem Gerät angemeldet. Andere Geräte erscheinen hier, sobald Sie sie benutzen.
account-session-ended = Diese Sitzung ist beendet. Auf dem Gerät ist eine neue Anmeldung nötig.
account-session-gone = Diese Sitzung war schon beendet.

setup-title = Erster Administrator
setup-heading = Ersten Administrator anlegen
setup-text = Das ist das erste Konto, mit den Rechten eines Administrators. Personen und Anwendungen werden vorerst auf der Befehlszeile des Servers verwaltet.
setup-name = Name
setup-email = E-Mail-Adresse
setup-password = Passwort
setup-password-hint = Mindestens { $count } Zeichen. Gut sind einige Wörter, die nichts miteinander zu tun haben.
setup-submit = Konto anlegen
setup-invalid = Prüfen Sie bitte die Felder unten.
setup-taken = Zu dieser E-Mail-Adresse gibt es schon ein Konto.
setup-email-bad = Geben Sie eine E-Mail-Adresse wie name@example.com ein.
setup-name-missing = Geben Sie Ihren Namen ein.
setup-name-long = Bitte höchstens 200 Zeichen und keine Steuerzeichen.
setup-password-missing = Wählen Sie ein Passwort.
setup-password-short = Das ist zu kurz.
setup-password-long = Das ist länger, als wir annehmen können.
setup-password-common = Dieses Passwort ist Angreifern wohlbekannt. Wählen Sie ein anderes.

setup-gone-title = Link nicht mehr gültig
setup-gone-heading = Dieser Link funktioniert nicht mehr
setup-gone-text = Er wurde schon benutzt oder ist abgelaufen. Wenn es noch keinen Administrator gibt, starten Sie den Server neu: Er schreibt dann einen neuen Link in sein Protokoll.
setup-gone-sign-in = Zur Anmeldung
