/* Leaves of rows in all trees, 16 rows at a time. Compared with numpy by trees.py. */
#include <stddef.h>
#include <stdint.h>

enum { ROWS = 16 };

typedef struct {
    double threshold; /* of a leaf: infinity */
    int32_t feature;
    int32_t left; /* the right child follows; of a leaf: itself */
} node;

void leaves(const node *nodes, const int32_t *roots, const int32_t *depths, int trees,
            const double *rows, int width, int count, int32_t *found) {
    for (int first = 0; first < count; first += ROWS) {
        int some = count - first < ROWS ? count - first : ROWS;
        const double *row[ROWS];
        for (int i = 0; i < ROWS; i++)
            row[i] = rows + (size_t)(first + (i < some ? i : 0)) * width;
        for (int tree = 0; tree < trees; tree++) {
            int32_t at[ROWS];
            for (int i = 0; i < ROWS; i++)
                at[i] = roots[tree];
            for (int depth = 0; depth < depths[tree]; depth++)
                for (int i = 0; i < ROWS; i++) {
                    const node *each = nodes + at[i];
                    at[i] = each->left + !(row[i][each->feature] <= each->threshold);
                }
            for (int i = 0; i < some; i++)
                found[(size_t)tree * count + first + i] = at[i];
        }
    }
}
