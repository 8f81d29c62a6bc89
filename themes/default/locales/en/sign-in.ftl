# Signing in and out, choosing an account, leaving for an application.

sign-in-title = Sign in
sign-in-heading = Sign in to { $brand }
sign-in-heading-plain = Sign in
sign-in-to-continue = to continue to { $application }
sign-in-again-title = Confirm it’s you
sign-in-again-heading = Confirm it’s you
sign-in-again-text = Enter your password once more to continue.
sign-in-again-to-continue = Enter your password once more to continue to { $application }.
sign-in-change = Not you?
sign-in-identifier = Email or username
sign-in-password = Password
sign-in-remember = Keep me signed in
sign-in-remember-hint = Only on a device that is yours.
sign-in-submit = Sign in
sign-in-again-submit = Continue

sign-in-wrong = That email or password isn’t right. Check both and try again.
sign-in-wrong-password = That password isn’t right. Please try again.
sign-in-throttled =
    { $count ->
        [one] Too many attempts. Please wait { $count } minute, then try again.
       *[other] Too many attempts. Please wait { $count } minutes, then try again.
    }
sign-in-busy = A lot of people are signing in right now. Please try again in a moment.
sign-in-fresh-needed = This application asks you to confirm your password, even though you are signed in.
sign-in-session-ended = You have been signed out. Sign in to carry on where you left off.
sign-in-unavailable = Signing in isn’t possible right now. Please try again in a minute.
sign-in-identifier-missing = Enter your email or username.
sign-in-password-missing = Enter your password.
sign-in-too-long = This is longer than we can accept.

choose-title = Choose an account
choose-heading = Choose an account
choose-to-continue = to continue to { $application }
choose-since = Signed in { $when }

logout-title = Sign out
logout-heading = Sign out?
logout-text = You will be signed out here and in the applications you opened with this account.
logout-asked-by = { $application } asks to sign you out.
logout-submit = Sign out
logout-stay = Stay signed in

signed-out-title = Signed out
signed-out-heading = You’re signed out
signed-out-text = You can close this window. On a shared computer, close every browser window.
signed-out-next = Back to { $application }
signed-out-next-plain = Continue
signed-out-again = Sign in again

leave-title = Continue
leave-heading = Continue to { $application }
leave-ready = You’re all set. One more click takes you back to the application.
leave-denied = Nothing was shared. One more click takes you back to the application.
leave-problem = This couldn’t be completed. The application will tell you what to do next.
leave-submit = Continue to { $host }
form-post-heading = Almost there
form-post-text = You are being taken back to the application. If nothing happens, go on by hand.
