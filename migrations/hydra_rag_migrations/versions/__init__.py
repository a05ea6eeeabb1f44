"""One module per migration; never edited once released."""
