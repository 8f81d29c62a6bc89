# One page for every problem: what happened, what to do next.

problem-reference = Reference
problem-reference-hint = Quote it if you ask for help.
problem-back = Back to { $application }
problem-home = Go to the start page
problem-sign-in = Sign in
problem-retry = Try again

error-bad-request-heading = This request didn’t make sense to us
error-bad-request-text = Something in it was missing or garbled on the way here.
error-bad-request-advice = Go back to where you came from and try again.

error-invalid-request-heading = The application made a mistake
error-invalid-request-text = It sent you here with a request that doesn’t follow the rules. This is not your fault.
error-invalid-request-advice = Go back and try once more. If it happens again, tell the people who run the application.

error-unknown-client-heading = We don’t know this application
error-unknown-client-text = The application that sent you here isn’t registered with us, or no longer is.
error-unknown-client-advice = Check that you followed the right link. If you did, tell the people who run the application.

error-client-disabled-heading = This application is switched off
error-client-disabled-text = Its administrator has paused signing in to it for now.
error-client-disabled-advice = Your account is fine. Ask the people who run the application when it will be back.

error-redirect-uri-mismatch-heading = We stopped this to keep you safe
error-redirect-uri-mismatch-text = The application wanted your answer sent to an address that isn’t registered for it.
error-redirect-uri-mismatch-advice = Open the application yourself rather than through a link. If it happens again, tell the people who run it.

error-unsupported-heading = The application asked for something we don’t offer
error-unsupported-text = It wants to sign you in by a method that isn’t available here.
error-unsupported-advice = Tell the people who run the application. There is nothing you need to change.

error-forbidden-origin-heading = This came from somewhere else
error-forbidden-origin-text = The form was sent from another website, so we didn’t act on it.
error-forbidden-origin-advice = Open the page you need here directly and try again.

error-not-found-heading = There’s nothing here
error-not-found-text = The page may have moved, or the link may be incomplete.
error-not-found-advice = Check the address, or go to the start page.

error-method-not-allowed-heading = This page doesn’t work that way
error-method-not-allowed-text = It exists, but it can’t be opened like this.
error-method-not-allowed-advice = Go back and use the link or button that brought you here.

error-flow-expired-heading = That took a little too long
error-flow-expired-text = For your safety, signing in has to be finished within an hour.
error-flow-expired-advice = Go back to the application and start again. It only takes a moment.

error-flow-elsewhere-heading = Continue where you started
error-flow-elsewhere-text = This sign-in belongs to another browser, or your browser doesn’t accept cookies.
error-flow-elsewhere-advice = Return to the browser in which you started, or allow cookies for this site and start again.

error-too-large-heading = That was too much at once
error-too-large-text = What was sent is larger than we can accept.
error-too-large-advice = Go back and send less.

error-wrong-host-heading = This address isn’t ours
error-wrong-host-text = You reached this server under a name it doesn’t answer to.
error-wrong-host-advice = Its address is { $address }. If you run this server and want another one, change its public address.

error-throttled-heading = Please wait a moment
error-throttled-text = There were too many attempts in a short time, from your account or from your network.
error-throttled-advice = Wait a few minutes, then try again. Nothing has been locked for good.

error-internal-heading = That one is on us
error-internal-text = Something broke on our side. It has been written down so that it can be repaired.
error-internal-advice = Try again. If it keeps happening, ask for help and quote the reference below.

error-busy-heading = A lot is going on right now
error-busy-text = More people are signing in than we can serve at this moment.
error-busy-advice = Try again in a few seconds. Nothing you entered has been stored.

error-unavailable-heading = We’ll be right back
error-unavailable-text = Signing in is briefly unavailable.
error-unavailable-advice = Try again in a minute.
