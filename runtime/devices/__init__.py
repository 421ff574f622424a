"""The devices a plan can run on, one module each; a module is imported when its device is used."""
