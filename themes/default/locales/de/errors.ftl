# Eine Seite für jedes Problem: was passiert ist und wie es weitergeht.

problem-reference = Referenz
problem-reference-hint = Nennen Sie sie, wenn Sie um Hilfe bitten.
problem-back = Zurück zu { $application }
problem-home = Zur Startseite
problem-sign-in = Anmelden
problem-retry = Noch einmal versuchen

error-bad-request-heading = Damit konnten wir nichts anfangen
error-bad-request-text = Ein Teil der Anfrage fehlte oder ist unterwegs durcheinandergeraten.
error-bad-request-advice = Gehen Sie dorthin zurück, wo Sie herkamen, und versuchen Sie es noch einmal.

error-invalid-request-heading = Der Anwendung ist ein Fehler unterlaufen
error-invalid-request-text = Sie hat Sie mit einer Anfrage hergeschickt, die nicht den Regeln entspricht. Das liegt nicht an Ihnen.
error-invalid-request-advice = Gehen Sie zurück und versuchen Sie es noch einmal. Passiert es wieder, sagen Sie es den Betreibern der Anwendung.

error-unknown-client-heading = Diese Anwendung kennen wir nicht
error-unknown-client-text = Die Anwendung, die Sie hergeschickt hat, ist bei uns nicht oder nicht mehr registriert.
error-unknown-client-advice = Prüfen Sie, ob der Link stimmt. Wenn ja, sagen Sie es den Betreibern der Anwendung.

error-client-disabled-heading = Diese Anwendung ist abgeschaltet
error-client-disabled-text = Die Anmeldung bei ihr ist zurzeit angehalten.
error-client-disabled-advice = Mit Ihrem Konto ist alles in Ordnung. Fragen Sie die Betreiber der Anwendung, wann es weitergeht.

error-redirect-uri-mismatch-heading = Zu Ihrem Schutz angehalten
error-redirect-uri-mismatch-text = Die Anwendung wollte Ihre Antwort an eine Adresse senden lassen, die für sie nicht registriert ist.
error-redirect-uri-mismatch-advice = Öffnen Sie die Anwendung selbst statt über einen Link. Passiert es wieder, sagen Sie es ihren Betreibern.

error-unsupported-heading = Das bieten wir hier nicht an
error-unsupported-text = Die Anwendung möchte Sie auf eine Weise anmelden, die es hier nicht gibt.
error-unsupported-advice = Sagen Sie es den Betreibern der Anwendung. Sie selbst müssen nichts ändern.

error-forbidden-origin-heading = Das kam von anderswo
error-forbidden-origin-text = Das Formular wurde von einer anderen Website gesendet. Wir haben deshalb nichts getan.
error-forbidden-origin-advice = Öffnen Sie die gewünschte Seite hier direkt und versuchen Sie es noch einmal.

error-not-found-heading = Hier ist nichts
error-not-found-text = Vielleicht ist die Seite umgezogen, vielleicht ist der Link unvollständig.
error-not-found-advice = Prüfen Sie die Adresse oder gehen Sie zur Startseite.

error-method-not-allowed-heading = So lässt sich diese Seite nicht öffnen
error-method-not-allowed-text = Es gibt sie, aber sie kann nicht auf diesem Weg aufgerufen werden.
error-method-not-allowed-advice = Gehen Sie zurück und benutzen Sie den Link oder Knopf, der Sie hergebracht hat.

error-flow-expired-heading = Das hat etwas zu lange gedauert
error-flow-expired-text = Zu Ihrer Sicherheit muss eine Anmeldung innerhalb einer Stunde abgeschlossen sein.
error-flow-expired-advice = Gehen Sie zurück zur Anwendung und beginnen Sie neu. Es dauert nur einen Moment.

error-flow-elsewhere-heading = Machen Sie dort weiter, wo Sie begonnen haben
error-flow-elsewhere-text = Diese Anmeldung gehört zu einem anderen Browser, oder Ihr Browser nimmt keine Cookies an.
error-flow-elsewhere-advice = Kehren Sie zu dem Browser zurück, in dem Sie begonnen haben, oder erlauben Sie Cookies für diese Website und beginnen Sie neu.

error-too-large-heading = Das war zu viel auf einmal
error-too-large-text = Was gesendet wurde, ist größer, als wir annehmen können.
error-too-large-advice = Gehen Sie zurück und senden Sie weniger.

error-wrong-host-heading = Diese Adresse gehört nicht zu uns
error-wrong-host-text = Sie haben diesen Server unter einem Namen erreicht, auf den er nicht antwortet.
error-wrong-host-advice = Seine Adresse ist { $address }. Wenn Sie den Server betreiben und eine andere möchten, ändern Sie seine öffentliche Adresse.

error-throttled-heading = Bitte warten Sie einen Moment
error-throttled-text = Es gab zu viele Versuche in kurzer Zeit, mit Ihrem Konto oder aus Ihrem Netz.
error-throttled-advice = Warten Sie ein paar Minuten und versuchen Sie es dann erneut. Es ist nichts dauerhaft gesperrt.

error-internal-heading = Das liegt an uns
error-internal-text = Bei uns ist etwas kaputtgegangen. Es wurde festgehalten, damit es repariert werden kann.
error-internal-advice = Versuchen Sie es noch einmal. Passiert es immer wieder, bitten Sie um Hilfe und nennen Sie die Referenz unten.

error-busy-heading = Gerade ist viel los
error-busy-text = Im Moment melden sich mehr Menschen an, als wir bedienen können.
error-busy-advice = Versuchen Sie es in ein paar Sekunden noch einmal. Von Ihren Eingaben wurde nichts gespeichert.

error-unavailable-heading = Wir sind gleich wieder da
error-unavailable-text = Die Anmeldung ist für kurze Zeit nicht verfügbar.
error-unavailable-advice = Versuchen Sie es in einer Minute noch einmal.
