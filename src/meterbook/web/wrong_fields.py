"""What forms say beside a field that was refused, to be translated; the API has its own words."""

from meterbook.web.languages import marked

METER_ID_WRONG = marked("A meter ID has up to nine digits, such as 999-999-999.")
# Whether it is anybody's, and whose, is not told apart.
CLAIMED = marked("This meter cannot be claimed. If it is yours, ask your operator.")
FIN_WRONG = marked("This is not a FIN: check its letters and digits.")
NAME_TAKEN = marked("Another account has this name.")
EMAIL_TAKEN = marked("Another account has this e-mail address.")
EMAIL_WRONG = marked("This is not an e-mail address.")
PASSWORD_WEAK = marked("Use eight characters or more, and none of the most common passwords.")
PASSWORD_LONG = marked("This password is too long: use at most 1,024 characters.")
NEEDED = marked("This is needed.")
TOO_LONG = marked("This is too long.")
REGION_WRONG = marked("Choose a region of the list.")
