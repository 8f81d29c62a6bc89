# The front page, the person's account, the first administrator.

front-title = Welcome
front-sign-in = Sign in
front-account = Go to your account
front-heading-plain = Welcome
front-text = One account for everything you use here.

account-title = Your account
account-heading = Your account
account-sign-out = Sign out
account-details = Your details
account-name = Name
account-email = Email
account-verified = Confirmed
account-unverified = Not confirmed yet
account-sub = Account ID
account-sub-hint = Support may ask you for it.
account-sessions = Where you’re signed in
account-sessions-text = If you don’t recognise one of these, end it and tell the people who run this service.
account-session-current = This device
account-session-used = Last used { $when }
account-session-since = Signed in { $when }
account-session-end = End
account-session-end-name = End the session of { $device }
account-sessions-only = You’re signed in on this device only. Other devices show up here as soon as you use them.
account-session-ended = That session has ended. The device will have to sign in again.
account-session-gone = That session had already ended.

setup-title = First administrator
setup-heading = Create the first administrator
setup-text = This is the first account, with an administrator’s rights. For now, people and applications are managed on the server’s command line.
setup-name = Name
setup-email = Email
setup-password = Password
setup-password-hint = At least { $count } characters. A few unrelated words make a good one.
setup-submit = Create account
setup-invalid = Please check the fields below.
setup-taken = There is an account with this email already.
setup-email-bad = Enter an email address such as name@example.com.
setup-name-missing = Enter your name.
setup-name-long = Please use at most 200 characters, and no control characters.
setup-password-missing = Choose a password.
setup-password-short = This is too short.
setup-password-long = This is longer than we can accept.
setup-password-common = This password is well known to attackers. Choose another one.

setup-gone-title = Link no longer valid
setup-gone-heading = This link no longer works
setup-gone-text = It has been used or has expired. If there is no administrator yet, start the server again: it writes a new link to its log.
setup-gone-sign-in = Go to sign in
