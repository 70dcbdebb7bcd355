"""Small models of many libraries and years, saved in every way in which people save models."""
