"""Request fields of the OpenAI and Mistral dialects: which are known, how they are checked and translated."""
