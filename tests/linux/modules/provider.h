/* What provider exports. */
int provider_answer(int more);
int provider_free(void);
