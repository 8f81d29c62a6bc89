# What an application asks to learn.

consent-title = Share with { $application }
consent-heading = { $application } asks to use your account
consent-as = You are sharing as
consent-learns = If you allow this, it will learn
consent-values = Show what is shared
consent-cannot = It cannot
consent-cannot-password = see your password
consent-cannot-change = change anything in your account
consent-allow = Allow
consent-deny = Don’t allow
consent-goes-to = Your answer goes to { $host }.
consent-trust = Only allow this if you trust the application.

scope-openid = Who you are here
scope-openid-text = An identifier, so that it recognises you next time.
scope-profile = Your profile
scope-profile-text = Your name, and your picture if you have one.
scope-email = Your email address
scope-email-text = The address, and whether it is confirmed.
scope-address = Your postal address
scope-address-text = Where you live, as far as you have told us.
scope-phone = Your phone number
scope-phone-text = The number, and whether it is confirmed.
scope-offline_access = All this while you are away
scope-offline_access-text = It stays connected for a time, even when you are not signed in.
scope-other = { $scope }
scope-other-text = A permission that this application has defined itself.
app-links = Of { $application }:
