"""Files of the inbox: found, made readable, typed into a staging table, their bad rows set aside."""
