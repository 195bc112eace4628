/* What area exports. */
struct wall {
	int width;
	int height;
};

int wall_area(const struct wall *wall);
