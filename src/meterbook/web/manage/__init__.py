"""Pages where admins look after devices and accounts; the API's operations behind forms."""
