/* What provider exports. */
#ifdef CHANGED
typedef long answer_t;
#else
typedef int answer_t;
#endif

answer_t provider_answer(answer_t more);
int provider_free(void);
