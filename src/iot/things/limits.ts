export const thingLimits = {
  thingNameCharactersMax: 128, // AWS IoT quota "thing name"
  secretBytes: 32, // ours: 256 bits of chance, so a fast salted hash is as safe as a slow one
  saltBytes: 16,
} as const;
