# An- und Abmelden, Konto wählen, zu einer Anwendung wechseln.

sign-in-title = Anmelden
sign-in-heading = Bei { $brand } anmelden
sign-in-heading-plain = Anmelden
sign-in-to-continue = weiter zu { $application }
sign-in-again-title = Identität bestätigen
sign-in-again-heading = Sind Sie es wirklich?
sign-in-again-text = Geben Sie zur Sicherheit noch einmal Ihr Passwort ein.
sign-in-again-to-continue = Geben Sie noch einmal Ihr Passwort ein, dann geht es weiter zu { $application }.
sign-in-change = Nicht Sie?
sign-in-identifier = E-Mail-Adresse oder Benutzername
sign-in-password = Passwort
sign-in-remember = Angemeldet bleiben
sign-in-remember-hint = Nur auf einem Gerät, das Ihnen gehört.
sign-in-submit = Anmelden
sign-in-again-submit = Weiter

sign-in-wrong = E-Mail-Adresse oder Passwort stimmt nicht. Prüfen Sie beides und versuchen Sie es noch einmal.
sign-in-wrong-password = Dieses Passwort stimmt nicht. Versuchen Sie es bitte noch einmal.
sign-in-throttled =
    { $count ->
        [one] Zu viele Versuche. Warten Sie bitte { $count } Minute und versuchen Sie es dann erneut.
       *[other] Zu viele Versuche. Warten Sie bitte { $count } Minuten und versuchen Sie es dann erneut.
    }
sign-in-busy = Gerade melden sich sehr viele Menschen an. Versuchen Sie es bitte gleich noch einmal.
sign-in-fresh-needed = Diese Anwendung möchte, dass Sie Ihr Passwort bestätigen, obwohl Sie schon angemeldet sind.
sign-in-session-ended = Sie wurden abgemeldet. Melden Sie sich an, dann geht es dort weiter, wo Sie waren.
sign-in-unavailable = Die Anmeldung ist gerade nicht möglich. Versuchen Sie es bitte in einer Minute noch einmal.
sign-in-identifier-missing = Geben Sie Ihre E-Mail-Adresse oder Ihren Benutzernamen ein.
sign-in-password-missing = Geben Sie Ihr Passwort ein.
sign-in-too-long = Das ist länger, als wir annehmen können.

choose-title = Konto wählen
choose-heading = Wählen Sie ein Konto
choose-to-continue = weiter zu { $application }
choose-since = Angemeldet { $when }

logout-title = Abmelden
logout-heading = Möchten Sie sich abmelden?
logout-text = Sie werden hier und in den Anwendungen abgemeldet, die Sie mit diesem Konto geöffnet haben.
logout-asked-by = { $application } möchte Sie abmelden.
logout-submit = Abmelden
logout-stay = Angemeldet bleiben

signed-out-title = Abgemeldet
signed-out-heading = Sie sind abgemeldet
signed-out-text = Sie können dieses Fenster schließen. An einem gemeinsam genutzten Computer schließen Sie bitte alle Browserfenster.
signed-out-next = Zurück zu { $application }
signed-out-next-plain = Weiter
signed-out-again = Wieder anmelden

leave-title = Weiter
leave-heading = Weiter zu { $application }
leave-ready = Alles erledigt. Noch ein Klick, und Sie sind zurück in der Anwendung.
leave-denied = Es wurde nichts weitergegeben. Noch ein Klick, und Sie sind zurück in der Anwendung.
leave-problem = Das konnte nicht abgeschlossen werden. Die Anwendung sagt Ihnen, wie es weitergeht.
leave-submit = Weiter zu { $host }
form-post-heading = Gleich geschafft
form-post-text = Sie werden zur Anwendung zurückgebracht. Wenn nichts geschieht, gehen Sie selbst weiter.
