# Was eine Anwendung erfahren möchte.

consent-title = Freigabe für { $application }
consent-heading = { $application } möchte Ihr Konto nutzen
consent-as = Sie geben frei als
consent-learns = Wenn Sie zustimmen, erfährt die Anwendung
consent-values = Zeigen, was weitergegeben wird
consent-cannot = Die Anwendung kann nicht
consent-cannot-password = Ihr Passwort sehen
consent-cannot-change = etwas an Ihrem Konto ändern
consent-allow = Zulassen
consent-deny = Nicht zulassen
consent-goes-to = Ihre Antwort geht an { $host }.
consent-trust = Stimmen Sie nur zu, wenn Sie der Anwendung vertrauen.

scope-openid = Wer Sie hier sind
scope-openid-text = Eine Kennung, an der sie Sie beim nächsten Mal wiedererkennt.
scope-profile = Ihr Profil
scope-profile-text = Ihren Namen und, falls vorhanden, Ihr Bild.
scope-email = Ihre E-Mail-Adresse
scope-email-text = Die Adresse und ob sie bestätigt ist.
scope-address = Ihre Postanschrift
scope-address-text = Wo Sie wohnen, soweit Sie es angegeben haben.
scope-phone = Ihre Telefonnummer
scope-phone-text = Die Nummer und ob sie bestätigt ist.
scope-offline_access = All das auch in Ihrer Abwesenheit
scope-offline_access-text = Die Verbindung bleibt eine Zeit lang bestehen, auch wenn Sie nicht angemeldet sind.
scope-other = „{ $scope }“
scope-other-text = Eine Berechtigung, die diese Anwendung selbst festgelegt hat.
app-links = Von { $application }:
